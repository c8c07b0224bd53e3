// Agents that are MCP servers: their chat is a tool. Both eras of the protocol, 2026-07-28 and the older ones.
import { type PriorDiscovery, ProtocolError, SdkError, SdkErrorCode, type Tool } from '@modelcontextprotocol/client';
import type { Dispatcher } from 'undici';
import type { AgentCall, AgentOutcome, AgentResult } from '../../agent.ts';
import type { AgentMemory } from '../memory.ts';
import { orAborted } from '../sdk-wire.ts';
import { type Failed, failed, misshapen } from '../wire.ts';
import { type Connection, connect, type McpWire, openMcpWire } from './connection.ts';
import { readResult } from './result.ts';
import { type McpSettings, mcpSettings } from './settings.ts';
import { argumentsFor, chooseTool, type Plan } from './tool-choice.ts';

/** More than this is not looked through for a guess: whoever has so many tools can name one. */
const MAX_TOOLS = 1_000;

/** What is worth keeping of a server between calls. */
export type KnownServer = { readonly era: PriorDiscovery; readonly plan: Plan<Tool> };

/** Asks an MCP server for a reply. Never throws. */
export async function callMcp(
  call: AgentCall,
  http: Dispatcher,
  memory: AgentMemory<KnownServer>,
): Promise<AgentResult> {
  const wire = openMcpWire(call, http);
  const attempt: Attempt = { call, wire, memory, isIdempotent: false };
  const outcome = await answer(attempt);
  return { outcome, exchange: wire.exchange() };
}

type Attempt = {
  readonly call: AgentCall;
  readonly wire: McpWire;
  readonly memory: AgentMemory<KnownServer>;
  /** Asked once more, the tool does nothing more: it says so itself. */
  isIdempotent: boolean;
};

async function answer(attempt: Attempt): Promise<AgentOutcome> {
  const { call, memory } = attempt;
  const settings = mcpSettings.safeParse(call.agent.metadata);
  if (!settings.success) return misshapen(settings.error);
  const known = memory.recall(call.agent);
  const { outcome, wasRefused } = await ask(attempt, settings.data, known, null);
  if (known === null || !wasRefused) return outcome;
  // Not a retry: the server did nothing but say that it is not what it was. It is met anew, once.
  return (await ask(attempt, settings.data, null, { known, outcome })).outcome;
}

type Asked = { readonly outcome: AgentOutcome; readonly wasRefused: boolean };
type Refused = { readonly known: KnownServer; readonly outcome: AgentOutcome };

async function ask(
  attempt: Attempt,
  settings: McpSettings,
  known: KnownServer | null,
  refused: Refused | null,
): Promise<Asked> {
  const { call, wire, memory } = attempt;
  let connection: Connection | null = null;
  try {
    connection = await connect(call, wire, settings, known?.era ?? null);
    const plan =
      known?.plan ?? knownPlan(connection, settings) ?? choosePlan(await listTools(connection, wire), settings);
    if ('refusal' in plan) return { outcome: failed('agent_contract', plan.refusal), wasRefused: false };
    const now = { era: connection.era, plan };
    // The very same question would get the same refusal.
    if (refused !== null && isSame(now, refused.known)) return { outcome: refused.outcome, wasRefused: true };
    memory.keep(call.agent, now);
    const outcome = readResult(await callTool(attempt, connection, plan, settings), settings);
    return { outcome, wasRefused: false };
  } catch (error) {
    if (!call.signal.aborted) memory.forget(call.agent);
    return { outcome: failureOf(error, attempt), wasRefused: isRefusal(error, wire) };
  } finally {
    void connection?.release();
  }
}

function isSame(a: KnownServer, b: KnownServer): boolean {
  return a.era.kind === b.era.kind && JSON.stringify(a.plan) === JSON.stringify(b.plan);
}

/**
 * The tool to call, where the settings say everything: servers of the older era are not asked for their list then. The newer ones
 * are, because a tool's schema may ask for headers.
 */
export function knownPlan({ era }: Connection, settings: McpSettings): Plan<Tool> | null {
  if (era.kind !== 'legacy' || settings.tool === undefined || settings.arguments === undefined) return null;
  return { name: settings.tool, tool: null, arguments: { kind: 'template', template: settings.arguments } };
}

/** The tools of a server. Throws what its library throws. */
export async function listTools({ client }: Connection, wire: McpWire): Promise<Tool[]> {
  const { tools } = await orAborted(
    client.listTools(undefined, { signal: wire.signal, timeout: wire.leftMs() + 1_000 }),
    wire.signal,
  );
  wire.stepDone();
  return tools;
}

/** The tool to call among those listed, or why none of them can be meant. */
export function choosePlan(tools: readonly Tool[], settings: McpSettings): Plan<Tool> | { readonly refusal: string } {
  if (settings.tool === undefined && tools.length > MAX_TOOLS)
    return { refusal: `The server has ${tools.length} tools. Name the one to call in metadata.tool.` };
  const choice = chooseTool(tools, settings);
  return 'plan' in choice ? choice.plan : choice;
}

async function callTool(attempt: Attempt, { client }: Connection, plan: Plan<Tool>, settings: McpSettings) {
  const { call, wire } = attempt;
  const conversation = call.thread?.handle.conversation ?? call.sessionId;
  const request = { name: plan.name, arguments: argumentsFor(plan, call, conversation) };
  attempt.isIdempotent = plan.tool?.annotations?.idempotentHint === true;
  const result = await orAborted(
    client.callTool(request, {
      signal: wire.signal,
      // Our own deadline comes first, and cancels over the protocol.
      timeout: wire.leftMs() + 1_000,
      ...(settings.progress === 'tell' ? { onprogress: () => call.onProgress() } : {}),
      ...(plan.tool === null ? {} : { toolDefinition: plan.tool }),
    }),
    wire.signal,
  );
  wire.stepDone();
  return result;
}

/** Answers with which a server says that it has not done anything, because it expected something else. */
const REFUSING_CODES = new Set([-32700, -32600, -32601, -32602, -32000, -32001, -32020, -32021, -32022]);
const REFUSING_STATUSES = new Set([400, 404, 405, 406, 410, 415]);

function isRefusal(error: unknown, wire: McpWire): boolean {
  if (wire.signal.aborted) return false;
  if (error instanceof ProtocolError) return REFUSING_CODES.has(error.code);
  return REFUSING_STATUSES.has(wire.status() ?? 0);
}

/** What the wire knows comes first; only codes get into reasons, since an error's words may repeat the person's. */
export function failureOf(error: unknown, { wire, isIdempotent }: Pick<Attempt, 'wire' | 'isIdempotent'>): Failed {
  const broken = wire.failure();
  if (broken !== null && (wire.signal.aborted || !(error instanceof ProtocolError))) {
    // Unlike our own message id, what a repeat means is unknown to most tools; another agent is the better next try.
    const mayHaveRun = wire.hasAsked() && !isIdempotent && broken.code === 'agent_broken';
    return mayHaveRun ? { ...broken, retry: 'other' } : broken;
  }
  if (error instanceof ProtocolError)
    return failed('agent_said_error', `The server refused the call with the error ${error.code}.`);
  if (!(error instanceof SdkError)) return failed('agent_contract', 'The answer is not one of the protocol.');
  switch (error.code) {
    case SdkErrorCode.RequestTimeout:
      return failed('agent_timeout', 'The agent gave no complete answer in time.');
    case SdkErrorCode.UnsupportedResultType:
    case SdkErrorCode.InputRequiredRoundsExceeded:
    case SdkErrorCode.CapabilityNotSupported:
      return failed('agent_contract', 'The tool asks for input in the middle of the call, which is not supported.');
    case SdkErrorCode.ListPaginationExceeded:
      return failed('agent_contract', 'The server’s list of tools does not end.');
    default:
      return failed('agent_contract', `The answer is not one of the protocol (${error.code}).`);
  }
}
