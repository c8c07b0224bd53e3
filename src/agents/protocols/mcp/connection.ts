// One connection to an MCP server for one call. Per call, because what a server remembers of a session must never be about
// two people; what is worth keeping between calls is in memory.ts.
import {
  Client,
  type JsonSchemaValidator,
  type jsonSchemaValidator,
  type PriorDiscovery,
  SdkError,
  SdkErrorCode,
  StreamableHTTPClientTransport,
  type VersionNegotiationMode,
} from '@modelcontextprotocol/client';
import type { Dispatcher } from 'undici';
import type { Approach } from '../../agent.ts';
import { isStream, openWire, orAborted, type Role, type Wire } from '../sdk-wire.ts';
import { failed } from '../wire.ts';
import type { McpSettings } from './settings.ts';

const CLIENT = { name: 'darkspere', version: '1' };
/** A page of a list of tools may be long where nothing else may. Ten thousand tools are about 3 MB. */
const MAX_LIST_BYTES = 4 * 1_048_576;
const MAX_LIST_PAGES = 10;
/** The most that a server may ask of us in the middle of one call: each answer to it is a request of ours, on a connection of its own. */
const MOST_ASKED_BACK = 100;
/** After an answer's last byte, the longest that the library may take to make something of it. */
const GRACE_MS = 500;

/** A schema of a stranger is not run here: its patterns could take for ever, and what we use is checked when it is read. */
const unchecked: jsonSchemaValidator = {
  getValidator:
    <T>(): JsonSchemaValidator<T> =>
    (input) => ({
      valid: true,
      data: input as T,
      errorMessage: undefined,
    }),
};

export type Connection = {
  readonly client: Client;
  readonly era: PriorDiscovery;
  /** Ends it beside the call: a cancellation leaves first, and a session that the server opened is closed. */
  release(): Promise<void>;
};

export type McpWire = Wire & {
  /** A step of the call is done: what its requests have not answered until now is not waited for. */
  stepDone(): void;
  scheduleReconnection(reconnect: () => void, delayMs: number): () => void;
};

/** The wire of an MCP call: it also notices answers that end without an answer, which the library waits for. */
export function openMcpWire(call: Approach, http: Dispatcher): McpWire {
  let step = 0;
  let askedBack = 0;
  const lost = () => wire.fail(failed('agent_broken', 'The stream of the answer ended before the answer came.'));
  const odd = () => wire.fail(failed('agent_contract', 'The answer does not answer the call.'));
  const wire = openWire(call, http, {
    roleOf(_url, init) {
      const role = roleOf(init);
      // What is said beside the call brings no answer to it.
      if (role.kind !== 'aside') step++;
      return role;
    },
    bodyEnded(headers) {
      const then = step;
      setTimeout(() => step === then && (isStream(headers) ? lost() : odd()), GRACE_MS).unref();
    },
  });
  return {
    ...wire,
    async fetch(address, init = {}) {
      if (isAnswer(init) && ++askedBack > MOST_ASKED_BACK) {
        const why = `The server asks more than ${MOST_ASKED_BACK} times in the middle of the call.`;
        wire.fail(failed('agent_contract', why));
        throw new Error(why);
      }
      if (init.method !== 'GET') return wire.fetch(address, init);
      // The library listens for what a server wants of its own; nobody here would hear it.
      if (!new Headers(init.headers).has('last-event-id')) return new Response(null, { status: 405 });
      const response = await wire.fetch(address, init).catch((error: unknown) => {
        lost();
        throw error;
      });
      if (!response.ok) lost();
      return response;
    },
    stepDone: () => void step++,
    scheduleReconnection(reconnect, delayMs) {
      step++;
      const timer = setTimeout(reconnect, delayMs);
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}

function methodIn({ body }: RequestInit): string | undefined {
  return typeof body === 'string' ? /"method":"([\w/]+)"/.exec(body)?.[1] : undefined;
}

/** To something that the server has asked. */
function isAnswer(init: RequestInit): boolean {
  return init.method === 'POST' && methodIn(init) === undefined;
}

function roleOf(init: RequestInit): Role {
  if (init.method === 'GET') return { kind: 'main' };
  const method = methodIn(init);
  // Without a method: the end of a session, or the answer to what the server has asked in the middle of the call (a ping).
  if (method === undefined || method === 'notifications/cancelled') return { kind: 'aside' };
  if (method === 'tools/call') return { kind: 'question' };
  return method === 'tools/list' ? { kind: 'main', maxBytes: MAX_LIST_BYTES } : { kind: 'main' };
}

/**
 * Connects, in the era that is known or in the one the server speaks. Where asking which one it speaks is all that went wrong
 * (some servers answer the probe with nonsense), the old way is tried once.
 */
export async function connect(
  call: Approach,
  wire: McpWire,
  settings: McpSettings,
  known: PriorDiscovery | null,
): Promise<Connection> {
  const mode = settings.era === 'auto' || settings.era === 'legacy' ? settings.era : { pin: settings.era };
  try {
    return await open(call, wire, mode, known);
  } catch (error) {
    if (settings.era !== 'auto' || known !== null || !wasOnlyTheProbe(error, wire)) throw error;
    return open(call, wire, 'legacy', null);
  }
}

const TELLING = new Set([401, 403, 429, 502, 503, 504, 529]);

function wasOnlyTheProbe(error: unknown, wire: Wire): boolean {
  const status = wire.status();
  return (
    error instanceof SdkError &&
    error.code === SdkErrorCode.EraNegotiationFailed &&
    !wire.signal.aborted &&
    status !== null &&
    !TELLING.has(status)
  );
}

async function open(
  call: Approach,
  wire: McpWire,
  mode: VersionNegotiationMode,
  known: PriorDiscovery | null,
): Promise<Connection> {
  const client = new Client(CLIENT, {
    capabilities: {},
    jsonSchemaValidator: unchecked,
    versionNegotiation: { mode },
    listMaxPages: MAX_LIST_PAGES,
    // A server may ask to be called again with a state of its own; what it wants to know from a person is not asked by text.
    inputRequired: { maxRounds: 3 },
  });
  client.onerror = () => undefined;
  const transport = new StreamableHTTPClientTransport(new URL(call.agent.endpointUrl), {
    fetch: wire.fetch,
    reconnectionScheduler: wire.scheduleReconnection,
  });
  const release = async (): Promise<void> => {
    await wire.settled();
    await transport.terminateSession().catch(() => undefined);
    await client.close().catch(() => undefined);
  };
  try {
    const options = {
      timeout: wire.leftMs() + 1_000,
      signal: wire.signal,
      ...(known === null ? {} : { prior: known }),
    };
    await orAborted(client.connect(transport, options), wire.signal);
  } catch (error) {
    void release();
    throw error;
  }
  wire.stepDone();
  const discover = client.getDiscoverResult();
  return { client, era: discover === undefined ? { kind: 'legacy' } : { kind: 'modern', discover }, release };
}
