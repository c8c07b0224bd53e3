// An agent's place at Darkspere: registered once, the same one after every restart, known to be alive, and left in order.
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { AgentError, type Protocol, type Reply, settleReply } from './chat.ts';
import { type Credentials, loadCredentials, saveCredentials } from './credentials.ts';
import { type Answer, call, isPassing, refusal } from './darkspere-api.ts';
import { rotate } from './rotation.ts';
import { type JoinSettings, type Settled, settleJoin } from './settings.ts';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
/** A key that was refused although it is new will not get better by asking again at once. */
const REGISTER_AGAIN_AFTER_MS = 60_000;
/** How long a text of the agent's own is tried to be handed over. */
const POST_MS = 60_000;
const NO_SECRET = {
  error: { message: 'Set REGISTRATION_SECRET, the secret of the registration service, or register it by hand.' },
};
/** Whoever stops does not wait long to be heard. */
const LAST_BEAT_MS = 3_000;

export type JoinOptions = JoinSettings & {
  readonly protocol: Protocol;
  /** Where Darkspere reaches the agent. */
  readonly endpointUrl: string;
  /** What Darkspere shows your server as its bearer token, over MCP and A2A; it may come before this resolves. */
  readonly token?: string;
  /** How busy the agent is, for heartbeats: `load` from 0 to 1. */
  readonly status?: () => { readonly load: number; readonly activeSessions: number };
};

export type PostOptions = {
  /** The `messageId` of the request that this answers late; a text of the agent's own has none. */
  readonly inReplyTo?: string;
  /** Repeated with the same key nothing is sent twice; a key of its own when absent. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
};

export type Membership = {
  /** Null until Darkspere has answered. */
  readonly agentId: string | null;
  /** True while Darkspere is asked to register the agent, which may call it to see whether it is there. */
  readonly isRegistering: boolean;
  /** What checks the calls of Darkspere, the newest first. */
  readonly signingSecrets: readonly string[];
  /**
   * Sends a text to the person of a conversation; tried for a minute while Darkspere is away. Throws AgentError with the
   * code of Darkspere's refusal, `not_registered`, or `darkspere_away`.
   */
  post(conversationId: string, reply: string | Reply, options?: PostOptions): Promise<{ id: string; status: string }>;
  /** Tells Darkspere that the agent takes no new sessions, and says no more after it. */
  sayDraining(): Promise<void>;
  /** Takes the agent out: the next start registers another one. */
  leave(): Promise<void>;
  /** Ends the heartbeats; the agent stays registered. */
  stop(): void;
};

/**
 * Registers an agent that serves itself (an MCP server, an A2A agent, anything behind an address), or finds its place from
 * before, and keeps it. Resolves as soon as Darkspere has answered, or is found away: then it goes on trying. Throws
 * AgentError when Darkspere refuses, Error for wrong settings.
 */
export function joinDarkspere(options: JoinOptions): Promise<Membership> {
  const settings = settleJoin(options, process.env);
  return join(settings, { saved: identify(settings).saved, token: options.token ?? null });
}

export type Identity = {
  /** What was issued before, by the service that is asked now. */
  readonly saved: Credentials | null;
  /** What Darkspere shows over MCP and A2A, from its first look at the agent on; null: nothing. */
  readonly token: string | null;
};

/** Who the agent is before it has asked anybody. */
export function identify(settings: Settled<JoinSettings>): Identity & { token: string } {
  const { stateFile, registrationUrl, registrationSecret, log } = settings;
  const mine = loadCredentials(stateFile, (line) => log('warn', line));
  return {
    saved: mine?.registration_url === registrationUrl ? mine : null,
    token:
      registrationSecret === null
        ? mine?.token || randomBytes(24).toString('base64url')
        : tokenOf(registrationSecret, settings),
  };
}

/** The same for all copies behind one address: Darkspere shows one token, whichever of them it reaches. */
function tokenOf(registrationSecret: string, { name, type }: Settled<JoinSettings>): string {
  return createHmac('sha256', registrationSecret)
    .update(JSON.stringify(['token', name, type]))
    .digest('base64url');
}

/** As `joinDarkspere`, with settings that are settled. */
export async function join(settings: Settled<JoinOptions>, { saved: before, token }: Identity): Promise<Membership> {
  const { registrationUrl, darkspereUrl, endpointUrl, stateFile, log } = settings;
  const stop = new AbortController();
  let saved = before;
  let known: Credentials | null = null;
  let registering = false;
  let isOut = false;
  let entering: Promise<void> | null = null;
  let lastMs = Number.NEGATIVE_INFINITY;

  const about = {
    agent_name: settings.name,
    agent_type: settings.type,
    endpoint_url: endpointUrl,
    capabilities: settings.capabilities,
    protocol: settings.protocol,
    max_concurrent_sessions: settings.maxConcurrentSessions,
    ...(settings.version === undefined ? {} : { version: settings.version }),
    // The envelope is signed; over the others the token says who calls.
    metadata: {
      ...settings.metadata,
      ...(settings.protocol === 'envelope' || token === null ? {} : { api_key: token }),
    },
  };
  const own = (credentials: Credentials, path = '') =>
    `${registrationUrl}/api/agents/${encodeURIComponent(credentials.agent_id)}${path}`;

  const keep = (credentials: Credentials): void => {
    known = credentials;
    saved = credentials;
    try {
      saveCredentials(stateFile, credentials);
    } catch (error) {
      log(
        'warn',
        `cannot keep its credentials in ${stateFile} (${codeOf(error)}); the next start registers another agent.`,
      );
    }
  };

  /** Where the agent stands now: itself when it was known before, else a new one. Null: nothing that helps answered. */
  const takePlace = async (): Promise<Credentials | Answer | null> => {
    if (saved !== null) {
      const updated = await update(saved);
      if (updated !== 'unknown') return updated;
    }
    return registerAnew();
  };

  const update = async (before: Credentials): Promise<Credentials | Answer | null | 'unknown'> => {
    const place = { ...before, endpoint_url: endpointUrl };
    const answer = await call(own(before), { method: 'PUT', key: before.api_key, body: about, signal: stop.signal });
    if (answer === null || isPassing(answer) || answer.code === 'conflict') return null;
    if (answer.status < 300) return place;
    if (answer.status === 401 || answer.status === 403) return 'unknown';
    if (answer.status !== 404 && answer.status !== 405) return answer;
    // A Darkspere that does not let agents change: the place is still right when the address is.
    const asked = await call(own(before), { method: 'GET', key: before.api_key, signal: stop.signal });
    if (asked === null || isPassing(asked)) return null;
    return asked.status < 300 && before.endpoint_url === endpointUrl ? place : 'unknown';
  };

  const registerAnew = async (): Promise<Credentials | Answer | null> => {
    const { registrationSecret } = settings;
    if (registrationSecret === null)
      return { status: 401, body: NO_SECRET, code: 'registration_secret_missing', retryAfterMs: null };
    const answer = await call(`${registrationUrl}/api/agents/register`, {
      body: { registration_secret: registrationSecret, ...about },
      signal: stop.signal,
    });
    if (answer === null || isPassing(answer)) return null;
    const { agent_id, api_key, signing_secret } = answer.body;
    if (answer.status >= 300 || typeof agent_id !== 'string' || typeof api_key !== 'string') return answer;
    const old = saved;
    const secrets = typeof signing_secret === 'string' ? [signing_secret] : [];
    const fresh = {
      agent_id,
      api_key,
      signing_secrets: secrets,
      token: token ?? '',
      registration_url: registrationUrl,
      endpoint_url: endpointUrl,
    };
    // Nobody should go on calling an address that is gone. A courtesy: it may fail.
    if (old !== null && old.agent_id !== agent_id)
      await call(own(old, '/deactivate'), { key: old.api_key, signal: stop.signal });
    return fresh;
  };

  /** Throws when Darkspere says that it will never work. `once`: gives up when Darkspere is away. */
  const enter = async (once: boolean): Promise<boolean> => {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      registering = true;
      const place = await takePlace().finally(() => {
        registering = false;
      });
      stop.signal.throwIfAborted();
      if (place !== null && 'agent_id' in place) {
        keep(place);
        return true;
      }
      if (place !== null) throw refusal('The registration', place);
      if (once) return false;
      await pause(pauseMs, undefined, { signal: stop.signal });
    }
  };

  /** Goes on trying beside everything else. */
  const enterLater = (): Promise<void> => {
    if (entering !== null) return entering;
    if (isOut || registering || performance.now() - lastMs < REGISTER_AGAIN_AFTER_MS) return Promise.resolve();
    lastMs = performance.now();
    entering = enter(false)
      .then(() => log('info', `registered as ${known?.agent_id}.`))
      .catch((error: unknown) => {
        if (!stop.signal.aborted) log('warn', error instanceof Error ? error.message : String(error));
      })
      .finally(() => {
        entering = null;
      });
    return entering;
  };

  /** What a refusal of the key means: somebody has taken the agent out, or its place is gone and is taken anew. */
  const refusedKey = (answer: Answer): void => {
    if (answer.code !== 'agent_deactivated') return void enterLater();
    if (isOut) return;
    isOut = true;
    log(
      'warn',
      'was deactivated at Darkspere and is asked nothing. Activate it there, or start it anew as another agent.',
    );
  };

  const beat = async (draining = false): Promise<void> => {
    if (known === null) return;
    const credentials = known;
    const { load, activeSessions } = settings.status?.() ?? { load: 0, activeSessions: 0 };
    const body = { load: draining ? 1 : Math.round(load * 100) / 100, active_sessions: activeSessions, draining };
    const signal = draining ? AbortSignal.timeout(LAST_BEAT_MS) : stop.signal;
    const answer = await call(own(credentials, '/heartbeat'), { key: credentials.api_key, body, signal });
    // 404 is a Darkspere without heartbeats; only a key that opens nothing any more says that the place is gone.
    if (answer?.status === 401 || answer?.status === 403) refusedKey(answer);
    if (answer === null || answer.status >= 300) return;
    // Whoever took it out has brought it back.
    isOut = false;
    if (draining) return;
    const rotated = await rotate((path) => own(credentials, path), credentials, answer);
    if (rotated !== null && known === credentials) keep(rotated);
  };

  const isAlone = saved === null && settings.registrationSecret === null;
  if (isAlone && settings.isProduction) throw new Error(`${settings.name}: ${NO_SECRET.error.message}`);
  if (isAlone) log('warn', `is not registered. ${NO_SECRET.error.message}`);
  else if (!(await enter(true))) {
    log('warn', `Darkspere does not answer at ${registrationUrl}; it will be registered as soon as it does.`);
    void enterLater();
  }
  // One at a time: two that hear of the same replaced key would both ask for a new one.
  let isBeating = false;
  const tick = async (): Promise<void> => {
    if (isBeating) return;
    isBeating = true;
    await beat().finally(() => {
      isBeating = false;
    });
  };
  const timer = setInterval(() => void tick(), settings.heartbeatMs);
  timer.unref();
  void tick();

  return {
    get agentId() {
      return known?.agent_id ?? null;
    },
    get isRegistering() {
      return registering;
    },
    get signingSecrets() {
      return (known ?? saved)?.signing_secrets ?? [];
    },
    async post(conversationId, reply, more = {}) {
      const { message, media } = settleReply(reply);
      const idempotencyKey = more.idempotencyKey ?? randomUUID();
      const url = `${darkspereUrl}/v1/conversations/${encodeURIComponent(conversationId)}/messages`;
      const body = {
        text: message,
        ...(media ? { media } : {}),
        ...(more.inReplyTo ? { in_reply_to: more.inReplyTo } : {}),
      };
      const untilMs = performance.now() + POST_MS;
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
        if (known === null) throw new AgentError('not_registered', 'Only an agent that is registered can send texts.');
        const key = known.api_key;
        const answer = await call(url, {
          key,
          body,
          idempotencyKey,
          ...(more.signal ? { signal: more.signal } : {}),
        });
        if (answer !== null && answer.status < 300)
          return { id: String(answer.body.id), status: String(answer.body.status) };
        // The 202 that this follows may still be on its way.
        const isEarly = answer?.code === 'conflict' && more.inReplyTo !== undefined;
        if (answer?.status === 401 || answer?.code === 'agent_deactivated') refusedKey(answer);
        // With the key of the place that it takes anew, or has taken meanwhile, the text is worth another try.
        const isReentering = answer?.status === 401 && (entering !== null || key !== known?.api_key);
        if (answer !== null && !isPassing(answer) && !isEarly && !isReentering) throw refusal('The text', answer);
        const waitMs = Math.max(pauseMs, answer?.retryAfterMs ?? 0);
        if (performance.now() + waitMs > untilMs) {
          throw answer === null
            ? new AgentError('darkspere_away', 'Darkspere did not answer for a minute.', { retryable: true })
            : refusal('The text', answer);
        }
        await pause(waitMs, undefined, more.signal ? { signal: more.signal } : {});
      }
    },
    async sayDraining() {
      clearInterval(timer);
      await beat(true);
    },
    async leave() {
      clearInterval(timer);
      stop.abort();
      if (known === null) return;
      const answer = await call(own(known, '/deactivate'), { key: known.api_key });
      if (answer !== null && answer.status >= 400 && answer.status !== 401) throw refusal('Leaving', answer);
    },
    stop() {
      clearInterval(timer);
      stop.abort();
    },
  };
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | null)?.code ?? 'unknown error';
}
