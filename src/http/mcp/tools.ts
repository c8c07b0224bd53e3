// The tools of the MCP server for programs, with API keys, as data: name, who may call it, what it takes and gives, and what it does.
// Agents have tools of their own (agent-tools.ts).
import { z } from 'zod';
import { findAgents } from '../../agents/agent-list.ts';
import { textAsProgram } from '../../bridge/programs.ts';
import { DarkspereError } from '../../errors.ts';
import { findConversation } from '../../inbox/conversation.ts';
import { listConversations } from '../../inbox/conversation-list.ts';
import { findMessage, listMessages } from '../../inbox/messages.ts';
import { mayDo, type Principal, type Scope } from '../../security/principal.ts';
import { agentOf as listed } from '../api/agent-list.ts';
import { ConversationQuery } from '../contract/conversations.ts';
import { AGENT_TOOLS } from './agent-tools.ts';
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
import {
  cursor,
  limit,
  NO_CONVERSATION,
  NO_MESSAGE,
  once,
  queued,
  READS,
  readerOf,
  TEXTS,
  type Tool,
  text,
  tool,
} from './tool.ts';

/** What a caller sees of the tools: those that it may call. */
export function toolsFor(principal: Principal): readonly Tool[] {
  return principal.kind === 'agent' ? AGENT_TOOLS : TOOLS.filter((one) => mayDo(principal, one.scope));
}

const TOOLS: readonly Tool[] = [
  tool({
    name: 'send_sms',
    scope: 'send',
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
    async run({ to, text: words, from = null, idempotency_key: key = null }, { sql, principal, policy }) {
      const target = { kind: 'send', from, address: to } as const;
      return queued(
        await textAsProgram(sql, { program: principal, to: target, text: words, idempotencyKey: key }, policy),
      );
    },
  }),
  tool({
    name: 'reply',
    scope: 'reply',
    title: 'Reply in a conversation',
    description:
      'Answers the person of a conversation who has texted within its session. It answers all that waits there, instead of the agent, which goes on with what comes next.',
    input: z.strictObject({ conversation_id: z.uuid(), text, idempotency_key: once }),
    output: QueuedResult,
    annotations: TEXTS,
    async run({ conversation_id: conversationId, text: words, idempotency_key: key = null }, call) {
      const { sql, principal, policy } = call;
      const to = { kind: 'reply', conversationId } as const;
      return queued(await textAsProgram(sql, { program: principal, to, text: words, idempotencyKey: key }, policy));
    },
  }),
  tool({
    name: 'get_message',
    scope: 'read',
    title: 'One message',
    description: 'A message and what became of it: whether a text was answered, whether an answer was delivered.',
    input: z.strictObject({ message_id: z.uuid() }),
    output: MessageResult,
    annotations: READS,
    async run({ message_id }, call) {
      const message = await findMessage(readerOf(call), message_id);
      if (message === null) throw new DarkspereError('not_found', NO_MESSAGE);
      return { notice: NOTICE, message: messageOf(message) };
    },
  }),
  tool({
    name: 'list_conversations',
    scope: 'read',
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
      const page = await listConversations(readerOf(call), query);
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
    title: 'One conversation',
    description: 'A conversation with its messages, newest first.',
    input: z.strictObject({ conversation_id: z.uuid(), limit: limit(100, 30), cursor }),
    output: ConversationResult,
    annotations: READS,
    async run({ conversation_id, ...page }, call) {
      const reader = readerOf(call);
      const conversation = await findConversation(reader, conversation_id);
      if (conversation === null) throw new DarkspereError('not_found', NO_CONVERSATION);
      const { data, next_cursor } = await listMessages(reader, { ...page, conversation_id });
      return { notice: NOTICE, conversation: conversationOf(conversation), messages: data.map(messageOf), next_cursor };
    },
  }),
  tool({
    name: 'list_agents',
    scope: 'read',
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
