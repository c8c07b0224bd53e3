// The tools of the MCP server, as data: name, who may call it, what it takes and gives, and what it does.
import { z } from 'zod';
import { findAgents } from '../../agents/agent-list.ts';
import { type PostPolicy, postMessage } from '../../bridge/posts.ts';
import { refuseAtNight, textAsProgram } from '../../bridge/programs.ts';
import type { Sql } from '../../database/pools.ts';
import { DarkspereError } from '../../errors.ts';
import { findConversation } from '../../inbox/conversation.ts';
import { listConversations } from '../../inbox/conversation-list.ts';
import { findMessage, listMessages } from '../../inbox/messages.ts';
import type { Reader } from '../../inbox/reader.ts';
import { mayDo, type Principal, type Scope } from '../../security/principal.ts';
import { agentOf as listed } from '../api/agent-list.ts';
import { isStorableText } from '../body.ts';
import { ConversationQuery } from '../contract/conversations.ts';
import {
  AgentsResult,
  agentOf,
  ConversationResult,
  ConversationsResult,
  conversationOf,
  MessageResult,
  messageOf,
  NOTICE,
  QueuedResult,
} from './shapes.ts';

export type ToolDeps = {
  readonly sql: Sql;
  readonly reader: Omit<Reader, 'signal'>;
  readonly policy: PostPolicy;
};

/** One call of a tool. */
export type ToolCall = ToolDeps & { readonly principal: Principal; readonly signal: AbortSignal };

export type Tool = {
  readonly name: string;
  /** What an API key must have. */
  readonly scope: Scope;
  /** Agents have it too, with their own keys, for the people of their own sessions. */
  readonly agents: boolean;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  readonly output: z.ZodObject;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint?: boolean;
    readonly idempotentHint?: boolean;
    readonly openWorldHint: boolean;
  };
  run(args: unknown, call: ToolCall): Promise<Record<string, unknown>>;
};

/** What a caller sees of the tools: those that it may call. */
export function toolsFor(principal: Principal): Tool[] {
  return TOOLS.filter((tool) => (principal.kind === 'agent' ? tool.agents : mayDo(principal, tool.scope)));
}

const READS = { readOnlyHint: true, openWorldHint: false } as const;
/** A text cannot be taken back, and it reaches a person. */
const TEXTS = { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true } as const;

const limit = (max: number, usual: number) => z.int().min(1).max(max).default(usual);
const cursor = z.string().max(200).optional().describe('next_cursor of the page before.');
const text = z
  .string()
  .min(1)
  .max(1_600)
  .refine(isStorableText, 'must not contain NUL or lone surrogates')
  .describe('Plain text, as short as it can be: every 160 characters are charged.');
const once = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 visible ASCII characters')
  .optional()
  .describe('Yours to choose. A call that is repeated with it sends nothing more.');

function tool<I extends z.ZodObject, O extends z.ZodObject>(
  declared: Omit<Tool, 'input' | 'output' | 'run'> & {
    readonly input: I;
    readonly output: O;
    run(args: z.output<I>, call: ToolCall): Promise<z.input<O>>;
  },
): Tool {
  return declared as unknown as Tool;
}

const TOOLS: readonly Tool[] = [
  tool({
    name: 'send_sms',
    scope: 'send',
    agents: true,
    title: 'Text somebody',
    description:
      'Sends a text message to a number that an operator has allowed. Refused at night, beyond the budget, and after a STOP. Use reply where the person has just texted.',
    input: z.strictObject({
      to: z
        .string()
        .regex(/^\+[1-9]\d{6,14}$/, 'must be a phone number like +15551234567')
        .describe('The person’s number, E.164.'),
      text,
      from: z.string().max(80).optional().describe('Our number it leaves from, where there are several.'),
      idempotency_key: once,
    }),
    output: QueuedResult,
    annotations: TEXTS,
    async run({ to, text: words, from = null, idempotency_key: key = null }, call) {
      const { sql, principal, policy } = call;
      if (principal.kind !== 'agent') {
        const target = { kind: 'send', from, address: to } as const;
        return queued(
          await textAsProgram(sql, { program: principal, to: target, text: words, idempotencyKey: key }, policy),
        );
      }
      const conversationId = await sessionWith(call, to, from);
      await refuseAtNight(sql, { agentId: principal.id, conversationId, theirAddress: to, idempotencyKey: key });
      return post(call, { conversationId, inReplyTo: null, text: words, idempotencyKey: key });
    },
  }),
  tool({
    name: 'reply',
    scope: 'reply',
    agents: true,
    title: 'Reply in a conversation',
    description:
      'Answers the person of a conversation who has texted within its session. It answers all that waits there, instead of the agent, which goes on with what comes next.',
    input: z.strictObject({
      conversation_id: z.uuid(),
      text,
      in_reply_to: z.uuid().optional().describe('Agents only: the message_id of the request this answers.'),
      idempotency_key: once,
    }),
    output: QueuedResult,
    annotations: TEXTS,
    async run({ conversation_id: conversationId, text: words, in_reply_to, idempotency_key: key = null }, call) {
      const { sql, principal, policy } = call;
      if (principal.kind === 'agent')
        return post(call, { conversationId, inReplyTo: in_reply_to ?? null, text: words, idempotencyKey: key });
      if (in_reply_to !== undefined)
        throw new DarkspereError(
          'invalid_request',
          'in_reply_to is for agents: a program’s reply answers what is there.',
          {
            param: 'in_reply_to',
          },
        );
      const to = { kind: 'reply', conversationId } as const;
      return queued(await textAsProgram(sql, { program: principal, to, text: words, idempotencyKey: key }, policy));
    },
  }),
  tool({
    name: 'get_message',
    scope: 'read',
    agents: true,
    title: 'One message',
    description: 'A message and what became of it: whether a text was answered, whether an answer was delivered.',
    input: z.strictObject({ message_id: z.uuid() }),
    output: MessageResult,
    annotations: READS,
    async run({ message_id }, call) {
      const message = await findMessage(readerOf(call), message_id);
      const isTheirs = message !== null && (await mayRead(call, message.conversation_id));
      if (!isTheirs) throw new DarkspereError('not_found', 'There is no message with this id.');
      return { notice: NOTICE, message: messageOf(message) };
    },
  }),
  tool({
    name: 'list_conversations',
    scope: 'read',
    agents: true,
    title: 'Conversations',
    description: 'Who texts which of our numbers, newest activity first.',
    input: z.strictObject({
      state: ConversationQuery.shape.state,
      since: ConversationQuery.shape.since,
      until: ConversationQuery.shape.until,
      phone: z.string().max(80).optional().describe('Part of the person’s number.'),
      number: z.string().max(80).optional().describe('One of our numbers.'),
      limit: limit(50, 20),
      cursor,
    }),
    output: ConversationsResult,
    annotations: READS,
    async run(query, call) {
      const { principal } = call;
      const agent = principal.kind === 'agent' ? principal.id : undefined;
      const page = await listConversations(readerOf(call), { ...query, agent });
      return {
        notice: NOTICE,
        conversations: page.data.map(conversationOf),
        next_cursor: page.next_cursor,
        searched_back_to: page.searched_back_to,
      };
    },
  }),
  tool({
    name: 'get_conversation',
    scope: 'read',
    agents: true,
    title: 'One conversation',
    description: 'A conversation with its messages, newest first.',
    input: z.strictObject({ conversation_id: z.uuid(), limit: limit(100, 30), cursor }),
    output: ConversationResult,
    annotations: READS,
    async run({ conversation_id, ...page }, call) {
      const reader = readerOf(call);
      const conversation = await findConversation(reader, conversation_id);
      if (conversation === null || !isOf(call.principal, conversation.agent))
        throw new DarkspereError('not_found', NO_CONVERSATION);
      const { data, next_cursor } = await listMessages(reader, { ...page, conversation_id });
      return { notice: NOTICE, conversation: conversationOf(conversation), messages: data.map(messageOf), next_cursor };
    },
  }),
  tool({
    name: 'list_agents',
    scope: 'read',
    agents: false,
    title: 'Agents',
    description: 'Who can answer texts, and how well each of them does.',
    input: z.strictObject({ limit: limit(100, 30), cursor }),
    output: AgentsResult,
    annotations: READS,
    async run(page, { sql }) {
      const { data, next_cursor } = await findAgents(sql, page);
      return { notice: NOTICE, agents: data.map((agent) => agentOf(listed(agent))), next_cursor };
    },
  }),
];

/** The names of all tools, and what an API key must have to call them. */
export const TOOL_SCOPES: ReadonlyMap<string, Scope> = new Map(TOOLS.map(({ name, scope }) => [name, scope]));

const NO_CONVERSATION = 'There is no conversation with this id.';

const readerOf = ({ reader, signal }: ToolCall): Reader => ({ ...reader, signal });

/** Agents see the conversations that they answer; somebody else's look like ones that are not there. */
function isOf(principal: Principal, agent: { readonly id: string } | null): boolean {
  return principal.kind !== 'agent' || agent?.id === principal.id;
}

async function mayRead(call: ToolCall, conversationId: string): Promise<boolean> {
  if (call.principal.kind !== 'agent') return true;
  const conversation = await findConversation(readerOf(call), conversationId);
  return conversation !== null && isOf(call.principal, conversation.agent);
}

/** The conversation in which an agent has a session with this person: an agent chooses no recipient. */
async function sessionWith({ sql, principal }: ToolCall, to: string, from: string | null): Promise<string> {
  const [row] = await sql<{ id: string }[]>`
    select c.id from conversations c join agent_sessions s on s.id = c.session_id
    where c.their_address = ${to} and s.agent_id = ${principal.id} and s.is_active
      and (${from}::text is null or c.our_address = ${from})
    order by s.last_active_at desc limit 1`;
  if (row) return row.id;
  throw new DarkspereError(
    'recipient_not_allowed',
    'to is not the person of a session of yours. An agent texts nobody else.',
    {
      param: 'to',
    },
  );
}

type AgentPost = {
  readonly conversationId: string;
  readonly inReplyTo: string | null;
  readonly text: string;
  readonly idempotencyKey: string | null;
};

async function post({ sql, principal, policy }: ToolCall, wanted: AgentPost) {
  const posted = await postMessage(sql, { ...wanted, agentId: principal.id, mediaUrls: [] }, policy);
  return queued({ ...posted, conversationId: wanted.conversationId });
}

function queued(sent: { readonly messageId: string; readonly conversationId: string; readonly isNew: boolean }) {
  return {
    message_id: sent.messageId,
    conversation_id: sent.conversationId,
    status: 'queued' as const,
    repeated: !sent.isNew,
  };
}
