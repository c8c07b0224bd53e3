// serveAgent: settings in, an agent out that is served, registered, known to be alive, and stopped in order.

import { existsSync } from 'node:fs';
import { createA2a } from './a2a.ts';
import type { ChatHandler, Reply } from './chat.ts';
import { AgentError } from './chat.ts';
import { asAgentError, createChats, type Question } from './chats.ts';
import { createEnvelope } from './envelope.ts';
import { createMcp } from './mcp.ts';
import { identify, join, type Membership, type PostOptions } from './membership.ts';
import { createAgentServer, listen } from './server.ts';
import { createSessionEvents, type SessionHandlers } from './session-events.ts';
import { problem, type Served, type ServeSettings, settleServe } from './settings.ts';

export type AgentOptions = ServeSettings &
  SessionHandlers & {
    /** Answers a text. What it throws is a failure, and another agent is asked; `AgentError` says more. */
    readonly chat: ChatHandler;
  };

export type Agent = {
  /** Where it is reached, without a slash at its end; MCP is at `/mcp`, A2A at `/a2a`. */
  readonly url: string;
  /** Null while it is not registered. */
  readonly agentId: string | null;
  /** Sends a text of the agent's own to a conversation's person; see `Membership.post`. */
  post(conversationId: string, reply: string | Reply, options?: PostOptions): Promise<{ id: string; status: string }>;
  /** Takes nothing new, finishes what runs, and stops. The agent stays registered. */
  stop(): Promise<void>;
  /** Stops, and takes the agent out of Darkspere. */
  leave(): Promise<void>;
};

/**
 * Serves an agent over the envelope, MCP and A2A on one port, and registers it. Resolves when it listens and Darkspere has
 * answered or was found away. Throws Error for wrong settings, AgentError when Darkspere refuses it, and as net does.
 */
export async function serveAgent(options: AgentOptions): Promise<Agent> {
  const settings = settleHandlers(options, settleServe(options, process.env));
  const { log, host } = settings;
  const chats = createChats(options.chat, settings.maxConcurrentSessions);
  // An agent from before knows its place without the registration secret.
  const identity = settings.registrationSecret !== null || existsSync(settings.stateFile) ? identify(settings) : null;
  let membership: Membership | null = null;
  let url = '';

  const isRegistering = () =>
    identity !== null && (membership === null || membership.isRegistering || membership.agentId === null);
  const issued = () => membership?.signingSecrets ?? identity?.saved?.signing_secrets ?? [];
  const signingSecrets = () => [...issued(), ...settings.signingSecrets];
  // What was shown before this start is shown until Darkspere knows better.
  const tokens = () => [
    ...settings.tokens,
    ...(identity === null ? [] : [identity.token, identity.saved?.token ?? '']).filter((token) => token !== ''),
  ];
  const postLater = async ({ conversationId, messageId }: Question, answer: Promise<Reply>): Promise<void> => {
    try {
      await membership?.post(conversationId ?? '', await answer, {
        inReplyTo: messageId ?? '',
        idempotencyKey: `late-${messageId}`,
      });
    } catch (error) {
      log('warn', `a late answer was not sent: ${asAgentError(error).code}.`);
    }
  };
  const about = { chats, name: settings.name, version: settings.version, description: settings.description };
  const server = createAgentServer({
    envelope: createEnvelope({
      ...about,
      capabilities: settings.capabilities,
      toleranceSeconds: settings.toleranceSeconds,
      secrets: signingSecrets,
      isRegistering,
      postLater,
      canPost: () => membership?.agentId != null,
      onSession: createSessionEvents(options, (name, error) =>
        log('warn', `${name} failed: ${asAgentError(error).code}.`),
      ),
    }),
    mcp: createMcp(about),
    a2a: createA2a({
      ...about,
      capabilities: settings.capabilities,
      url: () => url,
      hasToken: () => tokens().length > 0,
    }),
    tokens,
    refusal: chats.refusal,
    mayBeUnsigned: () => !settings.isProduction && signingSecrets().length === 0 && tokens().length === 0,
    notReady: () => (chats.isDraining ? 'draining' : isRegistering() ? 'registering' : null),
    onError: (error) => log('warn', `a call could not be answered: ${asAgentError(error).code}.`),
  });

  const port = await listen(server, settings.port, host);
  url = settings.publicUrl ?? `http://127.0.0.1:${port}`;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
  try {
    if (identity !== null) {
      const status = () => ({ load: chats.load, activeSessions: chats.running });
      membership = await join({ ...settings, endpointUrl: `${url}${PATHS[settings.protocol]}`, status }, identity);
    } else warnAlone(settings, signingSecrets().length + tokens().length > 0);
  } catch (error) {
    await close();
    throw error;
  }
  log(
    'info',
    `ready at ${url}${membership === null ? '' : `, ${membership.agentId === null ? 'not registered yet' : `registered as ${membership.agentId}`}`}.`,
  );

  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> =>
    (stopping ??= (async () => {
      // While it is told, and finishes, it still listens: a refusal costs less health than a closed port.
      await Promise.all([chats.drain(settings.drainMs), membership?.sayDraining()]);
      const closed = close();
      const forced = setTimeout(() => server.closeAllConnections(), 1_000);
      await closed;
      clearTimeout(forced);
      membership?.stop();
    })());
  if (settings.handleSignals) stopOnSignals(stop, log);

  return {
    url,
    get agentId() {
      return membership?.agentId ?? null;
    },
    async post(conversationId, reply, more) {
      if (membership === null)
        throw new AgentError('not_registered', 'Only an agent that is registered can send texts.');
      return membership.post(conversationId, reply, more);
    },
    stop,
    async leave() {
      await stop();
      await membership?.leave();
    },
  };
}

/** The settings with what follows from the handlers: Darkspere tells of sessions whoever asks for it. Throws Error for wrong ones. */
function settleHandlers({ chat, onSessionStart, onSessionEnd }: AgentOptions, settings: Served): Served {
  const isAbsentOrFunction = (handler: unknown) => handler === undefined || typeof handler === 'function';
  const hearsOfSessions = onSessionStart !== undefined || onSessionEnd !== undefined;
  const problems = [
    ...problem(typeof chat === 'function', 'chat: a function.'),
    ...problem(isAbsentOrFunction(onSessionStart), 'onSessionStart: a function.'),
    ...problem(isAbsentOrFunction(onSessionEnd), 'onSessionEnd: a function.'),
    ...problem(
      !hearsOfSessions || settings.protocol === 'envelope',
      `onSessionStart, onSessionEnd: nobody is told of sessions over ${settings.protocol}; protocol (AGENT_PROTOCOL): envelope.`,
    ),
  ];
  if (problems.length > 0) throw new Error(`The settings of the agent are wrong:\n  ${problems.join('\n  ')}`);
  return hearsOfSessions ? { ...settings, metadata: { ...settings.metadata, session_events: true } } : settings;
}

/** Where Darkspere asks, by protocol. A2A is found through its card. */
const PATHS = { envelope: '/', mcp: '/mcp', a2a: '/' } as const;

function warnAlone({ log, isProduction }: Served, hasSecrets: boolean): void {
  if (isProduction && hasSecrets) return;
  log(
    'warn',
    hasSecrets
      ? 'is not registered: REGISTRATION_SECRET is not set. It answers who knows its secrets.'
      : 'is not registered: REGISTRATION_SECRET is not set, and no Darkspere keeps its data in this folder or above it. ' +
          'Calls from this machine are answered UNSIGNED; everybody else is refused. In production it would not start. ' +
          'To be texted: REGISTRATION_SECRET=$(cat …/.darkspere/registration-secret)',
  );
}

/** Ctrl-C reaches a process of a terminal's group directly and once more through npm: that is one wish, not two. */
const SAME_WISH_MS = 1_000;

function stopOnSignals(stop: () => Promise<void>, log: Served['log']): void {
  let askedMs: number | null = null;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (askedMs !== null) {
        if (performance.now() - askedMs > SAME_WISH_MS) process.exit(130);
        return;
      }
      askedMs = performance.now();
      log('info', 'stopping: finishing what runs (once more to force).');
      void stop().finally(() => {
        // Whoever listens too has something of its own to finish.
        if (process.listenerCount(signal) <= 1) process.exit(0);
      });
    });
  }
}
