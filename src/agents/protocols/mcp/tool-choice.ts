// Which tool of a server is its chat, and how it wants to be asked. Pure; the rules are in docs/guide/agents.md.
import type { AgentCall } from '../../agent.ts';
import { fill, historyOf, wordsOf } from '../template.ts';
import type { McpSettings } from './settings.ts';

/** A tool as servers list it, as far as the choice depends on it. */
export type ListedTool = {
  readonly name: string;
  readonly inputSchema: {
    readonly properties?: Readonly<Record<string, unknown>> | undefined;
    readonly required?: readonly string[] | undefined;
  };
  readonly annotations?: { readonly destructiveHint?: boolean | undefined } | undefined;
};

/** How to ask a tool. */
export type Plan<T extends ListedTool = ListedTool> = {
  readonly name: string;
  /** Null when the settings say everything and nobody has looked at the list. */
  readonly tool: T | null;
  readonly arguments: ArgumentPlan;
};

type ArgumentPlan =
  | { readonly kind: 'template'; readonly template: Readonly<Record<string, unknown>> }
  | {
      readonly kind: 'fields';
      readonly message: { readonly field: string; readonly isList: boolean };
      readonly conversation: string | null;
      readonly history: { readonly field: string; readonly isList: boolean; readonly ofTexts: boolean } | null;
    };

/** What a refusal says is for whoever registered the agent: it names the candidates and the setting that decides. */
export type Choice<T extends ListedTool> = { readonly plan: Plan<T> } | { readonly refusal: string };

const MESSAGE_FIELDS = [
  'message',
  'text',
  'input',
  'prompt',
  'query',
  'question',
  'chatInput',
  'input_value',
  'content',
];
export const CONVERSATION_FIELDS = ['conversation', 'session', 'thread', 'chat', 'context'].flatMap((stem) => [
  `${stem}_id`,
  `${stem}Id`,
]);
const HISTORY_FIELDS = ['messages', 'history', 'context'];

/** Names that say "talk to me", the plainest first; patterns after all of them. */
const CHAT_NAMES = ['chat', 'ask', 'send_message', 'message', 'converse', 'query', 'prompt', 'respond', 'talk'];
const CHAT_PATTERNS = [/^ask_/, /^agent_/, /^chat_/, /_chat$/, /-agent$/];

const MOST_NAMED = 10;

/** The tool to call: the one named in the settings, else the only one that can be asked, else the best name. */
export function chooseTool<T extends ListedTool>(tools: readonly T[], settings: McpSettings): Choice<T> {
  if (settings.tool !== undefined) {
    const tool = tools.find(({ name }) => name === settings.tool);
    if (tool === undefined) return { refusal: `The server has no tool "${settings.tool}". It has ${names(tools)}.` };
    const planned = planArguments(tool, settings);
    return typeof planned === 'string' ? { refusal: planned } : { plan: { name: tool.name, tool, arguments: planned } };
  }
  const usable = tools.flatMap((tool) => {
    // A guess must not delete anything: whoever means such a tool names it.
    if (tool.annotations?.destructiveHint === true) return [];
    const planned = planArguments(tool, settings);
    return typeof planned === 'string' ? [] : [{ name: tool.name, tool, arguments: planned }];
  });
  const [only, ...others] = usable;
  if (only !== undefined && others.length === 0) return { plan: only };
  if (only === undefined) {
    const [first] = tools;
    const why = tools.length === 1 && first !== undefined ? planArguments(first, settings) : null;
    return {
      refusal: `No tool clearly takes a text message${typeof why === 'string' ? `: ${why}` : '.'} The server has ${names(tools)}. Name one in metadata.tool, with metadata.arguments.`,
    };
  }
  const best = Math.min(...usable.map(({ name }) => rankOf(name)));
  const first = usable.filter(({ name }) => rankOf(name) === best);
  if (best < UNRANKED && first.length === 1) return { plan: first[0]! };
  return { refusal: `Several tools could be the chat: ${names(usable)}. Name one in metadata.tool.` };
}

const UNRANKED = CHAT_NAMES.length + CHAT_PATTERNS.length;

function rankOf(name: string): number {
  const exact = CHAT_NAMES.indexOf(name.toLowerCase());
  if (exact >= 0) return exact;
  // The patterns are equals: two tools that match them are two candidates.
  return CHAT_PATTERNS.some((pattern) => pattern.test(name.toLowerCase())) ? CHAT_NAMES.length : UNRANKED;
}

function names(tools: readonly { readonly name: string }[]): string {
  if (tools.length === 0) return 'no tools';
  const shown = tools.slice(0, MOST_NAMED).map(({ name }) => name.replace(/[^\w./:-]/g, '').slice(0, 60));
  return shown.join(', ') + (tools.length > shown.length ? ` and ${tools.length - shown.length} more` : '');
}

/** How a tool wants to be asked, or why nobody can know. */
function planArguments(tool: ListedTool, settings: McpSettings): ArgumentPlan | string {
  if (settings.arguments !== undefined) return { kind: 'template', template: settings.arguments };
  const properties = tool.inputSchema.properties ?? {};
  const required = (tool.inputSchema.required ?? []).filter((name) => Object.hasOwn(properties, name));
  const message = messageField(properties, required);
  if (message === null) return `${tool.name} has no required text that is plainly the message`;
  const conversation = CONVERSATION_FIELDS.find((name) => name !== message.field && isText(properties[name])) ?? null;
  const history = historyField(properties, message.field);
  const known = new Set([message.field, conversation, history?.field]);
  const unknown = required.filter((name) => !known.has(name));
  if (unknown.length > 0)
    return `${tool.name} requires ${unknown.slice(0, MOST_NAMED).join(', ')}, which only a template in metadata.arguments can fill`;
  return { kind: 'fields', message, conversation, history };
}

function messageField(
  properties: Readonly<Record<string, unknown>>,
  required: readonly string[],
): { field: string; isList: boolean } | null {
  const texts = required.filter((name) => isText(properties[name]));
  const named = MESSAGE_FIELDS.find((name) => texts.includes(name));
  if (named !== undefined) return { field: named, isList: false };
  if (required.includes('messages') && isMessageList(properties.messages)) return { field: 'messages', isList: true };
  const handles = new Set<string>(CONVERSATION_FIELDS);
  const rest = texts.filter((name) => !handles.has(name));
  return rest.length === 1 ? { field: rest[0]!, isList: false } : null;
}

function historyField(properties: Readonly<Record<string, unknown>>, message: string) {
  for (const field of HISTORY_FIELDS) {
    const schema = properties[field];
    if (field === message || schema === undefined) continue;
    if (isList(schema)) return { field, isList: true, ofTexts: isText(itemsOf(schema)) };
    if (isText(schema)) return { field, isList: false, ofTexts: false };
  }
  return null;
}

function typeOf(schema: unknown): readonly unknown[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { type, anyOf } = schema as { type?: unknown; anyOf?: unknown };
  if (Array.isArray(anyOf)) return anyOf.flatMap(typeOf);
  return Array.isArray(type) ? type : [type];
}

function isText(schema: unknown): boolean {
  return typeOf(schema).includes('string') && !(schema as { enum?: unknown }).enum;
}

function isList(schema: unknown): boolean {
  return typeOf(schema).includes('array');
}

function itemsOf(schema: unknown): unknown {
  return (schema as { items?: unknown } | null)?.items;
}

/** A list of { role, content }, or of who knows what. */
function isMessageList(schema: unknown): boolean {
  if (!isList(schema)) return false;
  const items = itemsOf(schema) as { properties?: Record<string, unknown> } | undefined;
  return items?.properties === undefined || ('role' in items.properties && 'content' in items.properties);
}

/** The arguments of one call. `conversation` is the agent's own handle where it gave one, else ours for the session. */
export function argumentsFor(plan: Plan, call: AgentCall, conversation: string): Record<string, unknown> {
  if (plan.arguments.kind === 'template')
    return fill(plan.arguments.template, call, conversation) as Record<string, unknown>;
  const { message, history } = plan.arguments;
  const words = wordsOf(call);
  const said: Record<string, unknown> = {
    [message.field]: message.isList ? [...historyOf(call), { role: 'user', content: words }] : words,
  };
  if (plan.arguments.conversation !== null) said[plan.arguments.conversation] = conversation;
  if (history !== null) said[history.field] = historyAs(history, call);
  return said;
}

function historyAs(history: { isList: boolean; ofTexts: boolean }, call: AgentCall): unknown {
  const texts = historyOf(call).map(({ role, content }) => `${role}: ${content}`);
  if (!history.isList) return texts.join('\n');
  return history.ofTexts ? texts : historyOf(call);
}
