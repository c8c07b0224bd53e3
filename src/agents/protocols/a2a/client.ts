// Finding an A2A agent: its card says at which address it speaks which version.
import { StreamResponse } from '@a2a-js/sdk';
import {
  type Client,
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
  type TransportFactory,
} from '@a2a-js/sdk/client';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import type { Approach } from '../../agent.ts';
import { openWire, type Role, type Wire } from '../sdk-wire.ts';

/** A card as it came, read anew by the library for each client. */
export type AgentCard = object;

/** A message to the agent, in two versions over JSON-RPC and in both over HTTP+JSON. */
const QUESTIONS = new Set(['SendMessage', 'SendStreamingMessage', 'message/send', 'message/stream']);
const QUESTION_PATH = /\/message:(send|stream)$/;
/** A card lists skills, so it may be longer than an answer. */
const MAX_CARD_BYTES = 262_144;

export function openA2aWire(call: Approach, http: Dispatcher): Wire {
  return openWire(call, http, { roleOf });
}

function roleOf(url: URL, init: RequestInit): Role {
  const method = typeof init.body === 'string' ? /"method":\s*"([\w/]+)"/.exec(init.body)?.[1] : undefined;
  // Two versions and two bindings of one wish: end the task.
  if (method === 'CancelTask' || method === 'tasks/cancel' || url.pathname.endsWith(':cancel'))
    return { kind: 'aside' };
  if (method === undefined ? QUESTION_PATH.test(url.pathname) : QUESTIONS.has(method)) return { kind: 'question' };
  return init.body ? { kind: 'main' } : { kind: 'main', maxBytes: MAX_CARD_BYTES };
}

const streaming = z.object({ capabilities: z.object({ streaming: z.literal(true) }) });

/** Whether the agent tells of its work while it goes on; the library asks it for a stream then. */
export function streamsOf(card: AgentCard): boolean {
  return streaming.safeParse(card).success;
}

/** A client for the card. Throws when the card offers nothing that is spoken here. */
export function clientFor(card: AgentCard, wire: Wire): Promise<Client> {
  const options = { fetchImpl: wire.fetch as typeof fetch, legacyCompat: { enabled: true } };
  const factory = new ClientFactory({
    transports: [new JsonRpcTransportFactory(options), quietRest(options)],
    cardResolver: new DefaultAgentCardResolver(options),
  });
  return factory.createFromAgentCard(card as Parameters<typeof factory.createFromAgentCard>[0]);
}

/**
 * The library's REST transport writes an event that it cannot read to the console, with whatever a person or an agent said in
 * it. Here it only fails.
 */
function quietRest(options: ConstructorParameters<typeof RestTransportFactory>[0]): TransportFactory {
  const factory = new RestTransportFactory(options);
  return {
    protocolName: factory.protocolName,
    async create(url, card) {
      const transport = await factory.create(url, card);
      if (transport.protocolVersion !== '1.0') return transport;
      return Object.assign(transport, {
        _processSseEventData: (data: string) => StreamResponse.fromJSON(JSON.parse(data)),
      });
    },
  };
}

/** Where a card may be: the address itself, under it, or at the root of its host. */
function* cardUrls(endpoint: string): Generator<URL> {
  const url = new URL(endpoint);
  if (url.pathname.endsWith('.json')) {
    yield url;
    return;
  }
  const wellKnown = '.well-known/agent-card.json';
  const under = new URL(`${url.pathname.replace(/\/+$/, '')}/${wellKnown}`, url);
  yield under;
  const root = new URL(`/${wellKnown}`, url);
  if (root.href !== under.href) yield root;
}

/** Fetches the card, null when there is none. Throws what the wire throws, and for what is no JSON. */
export async function fetchCard({ agent }: Approach, wire: Wire): Promise<AgentCard | null> {
  for (const url of cardUrls(agent.endpointUrl)) {
    const response = await wire.fetch(url, { headers: { accept: 'application/json', 'a2a-version': '1.0' } });
    if (response.ok) {
      const card: unknown = await response.json();
      return typeof card === 'object' && card !== null && !Array.isArray(card) ? card : null;
    }
    await response.body?.cancel();
    if (response.status !== 404) return null;
  }
  return null;
}
