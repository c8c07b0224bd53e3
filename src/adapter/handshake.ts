// An agent met without being asked anything: what its protocol has for that. Never throws, counts for nobody's health.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import type { Agent, AgentCall, Deadlines, Protocol } from '../agents/agent.ts';
import { openWire } from '../agents/protocols/sdk-wire.ts';
import { exchange, failed, failureOf, failureOfStatus, notJson, parseJson } from '../agents/protocols/wire.ts';
import { now } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import { newId } from '../ids.ts';
import { signWebhook } from '../security/standard-webhooks.ts';

export type Handshake =
  | {
      readonly kind: 'met';
      readonly ms: number;
      /** What the agent itself names: capabilities, tools, skills or models. */
      readonly offers: readonly string[];
      readonly name: string | null;
      readonly version: string | null;
      readonly limits: Readonly<Record<string, unknown>>;
      /** 0–1, as the agent says it. */
      readonly load: number | null;
    }
  | { readonly kind: 'failed'; readonly ms: number; readonly code: ErrorCode; readonly reason: string }
  /** The protocol has nothing but the question itself. */
  | { readonly kind: 'none'; readonly reason: string };

export type Meet = (agent: Agent, about: 'capabilities' | 'health', signal: AbortSignal) => Promise<Handshake>;

type Met = Partial<Omit<Extract<Handshake, { kind: 'met' }>, 'kind' | 'ms'>>;
type Meeting = { readonly call: AgentCall; readonly http: Dispatcher; readonly about: 'capabilities' | 'health' };

const NAMES_KEPT = 200;

/** Meets agents through `http`, within the deadlines of a call. */
export function createMeet(http: Dispatcher, deadlines: Deadlines): Meet {
  return async (agent, about, signal) => {
    if (agent.protocol === 'webhook')
      return { kind: 'none', reason: 'A webhook has no handshake: whatever is sent there starts its workflow.' };
    const startedMs = performance.now();
    const met = await MEETINGS[agent.protocol]({ call: callOf(agent, deadlines, signal), http, about }).catch(
      failureOf,
    );
    const ms = performance.now() - startedMs;
    if ('code' in met) return { kind: 'failed', ms, code: met.code, reason: met.reason };
    return { kind: 'met', ms, ...NOTHING, ...met, offers: met.offers?.slice(0, NAMES_KEPT) ?? [] };
  };
}

const NOTHING = { offers: [], name: null, version: null, limits: {}, load: null };

type Failure = ReturnType<typeof failed>;

const MEETINGS: Readonly<Record<Exclude<Protocol, 'webhook'>, (meeting: Meeting) => Promise<Met | Failure>>> = {
  envelope: meetEnvelope,
  openai: meetOpenai,
  mcp: meetMcp,
  a2a: meetA2a,
};

const capabilities = z.object({
  type: z.literal('capabilities.response'),
  payload: z.object({
    capabilities: z.array(z.string().max(200)),
    version: z.string().max(200).optional(),
    limits: z.record(z.string(), z.unknown()).optional(),
  }),
});
const health = z.object({
  type: z.literal('health.status'),
  payload: z.object({ status: z.string().max(200), load: z.number().min(0).max(1).optional() }),
});

async function meetEnvelope({ call, http, about }: Meeting): Promise<Met | Failure> {
  const type = about === 'capabilities' ? 'capabilities.request' : 'health.check';
  const body = JSON.stringify({ type, message_id: call.messageId, timestamp: now().toISOString(), payload: {} });
  const signature = signWebhook(call.agent.signingSecret, call.messageId, now(), body);
  const { answer } = await exchange(call, http, new URL(call.agent.endpointUrl), { ...signature }, body);
  if ('kind' in answer) return answer;
  const refused = failureOfStatus(answer, now());
  if (refused !== null) return refused;
  const said = parseJson(answer.bytes);
  if (said === null) return notJson(answer);
  if (about === 'capabilities') {
    const parsed = capabilities.safeParse(said.value);
    if (!parsed.success) return failed('agent_contract', 'The answer is not a capabilities.response.');
    const { capabilities: offers, version = null, limits = {} } = parsed.data.payload;
    return { offers, version, limits };
  }
  const parsed = health.safeParse(said.value);
  if (!parsed.success) return failed('agent_contract', 'The answer is not a health.status.');
  const { status, load = null } = parsed.data.payload;
  // Its own word for it is not repeated: an agent may put anything there.
  return status === 'healthy' ? { load } : failed('agent_said_error', 'The agent says that it is not healthy.');
}

const models = z.object({ data: z.array(z.object({ id: z.string().max(200) })) });

async function meetOpenai({ call, http }: Meeting): Promise<Met | Failure> {
  const url = new URL(call.agent.endpointUrl);
  url.pathname = `${url.pathname.replace(/\/(?:chat\/completions|responses)?\/*$/, '')}/models`;
  const wire = openWire(call, http, { roleOf: () => ({ kind: 'main', maxBytes: MAX_MODELS_BYTES }) });
  const response = await wire.fetch(url, { headers: { accept: 'application/json' } }).catch(() => null);
  const text = await response?.text().catch(() => '');
  wire.exchange('');
  // Not every endpoint has a list of models; that it answers so is an answer.
  if (response?.status === 404 || response?.status === 405) return {};
  const broken = wire.failure();
  if (broken !== null) return broken;
  const parsed = models.safeParse(parseJson(Buffer.from(text ?? ''))?.value);
  return parsed.success
    ? { offers: parsed.data.data.map(({ id }) => id) }
    : failed('agent_contract', 'The answer is not a list of models.');
}

const MAX_MODELS_BYTES = 1_048_576;

async function meetMcp({ call, http }: Meeting): Promise<Met | Failure> {
  // With its library, which only those load who have such an agent.
  const [{ openMcpWire, connect }, { mcpSettings }] = await Promise.all([
    import('../agents/protocols/mcp/connection.ts'),
    import('../agents/protocols/mcp/settings.ts'),
  ]);
  const settings = mcpSettings.safeParse(call.agent.metadata);
  if (!settings.success) return failed('agent_contract', 'The settings of the agent are misshapen.');
  const wire = openMcpWire(call, http);
  try {
    const connection = await connect(call, wire, settings.data, null);
    try {
      const { tools } = await connection.client.listTools(undefined, { signal: wire.signal, timeout: wire.leftMs() });
      const { name = null, version = null } = connection.client.getServerVersion() ?? {};
      return { offers: tools.map((tool) => tool.name), name, version };
    } finally {
      void connection.release();
    }
  } catch {
    return wire.failure() ?? failed('agent_contract', 'The answer is not one of the protocol.');
  } finally {
    wire.exchange('');
  }
}

const card = z.object({
  name: z.string().max(200).optional(),
  version: z.string().max(200).optional(),
  skills: z.array(z.object({ id: z.string().max(200) })).default([]),
});

async function meetA2a({ call, http }: Meeting): Promise<Met | Failure> {
  const { fetchCard, openA2aWire } = await import('../agents/protocols/a2a/client.ts');
  const wire = openA2aWire(call, http);
  try {
    const parsed = card.safeParse(await fetchCard(call, wire));
    const broken = wire.failure();
    if (broken !== null) return broken;
    if (!parsed.success) return failed('agent_contract', 'There is no agent card.');
    const { name = null, version = null, skills } = parsed.data;
    return { offers: skills.map(({ id }) => id), name, version };
  } catch {
    return wire.failure() ?? failed('agent_contract', 'The agent card is no JSON.');
  } finally {
    wire.exchange('');
  }
}

/** What the wire of a protocol wants to know; nothing of it is a question. */
function callOf(agent: Agent, deadlines: Deadlines, signal: AbortSignal): AgentCall {
  const id = newId();
  return {
    agent,
    messageId: id,
    conversationId: id,
    sessionId: id,
    channel: 'api',
    text: '',
    media: [],
    history: [],
    replyBudget: { maxCharacters: 160, maxSegments: 1 },
    deadlines,
    signal,
    thread: null,
    onProgress() {},
  };
}
