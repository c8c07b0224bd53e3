// The tools of the MCP server for agents, with their own keys: the people of their own sessions, by conversation. An agent never
// gets a phone number and never names one, so it can choose no recipient.
import { z } from 'zod';
import { postMessage } from '../../bridge/posts.ts';
import { DarkspereError } from '../../errors.ts';
import { readConversations } from '../../inbox/conversation.ts';
import { findOwnMessage, findOwnSession, listOwnMessages, listOwnSessions } from '../../inbox/own-sessions.ts';
import {
  MessageResult,
  messageOf,
  NOTICE,
  OwnConversationResult,
  OwnConversationsResult,
  ownConversationOf,
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
  type ToolCall,
  text,
  tool,
} from './tool.ts';

export const AGENT_TOOLS: readonly Tool[] = [
  tool({
    name: 'send_sms',
    scope: 'send',
    title: 'Text the person of a session',
    description:
      'A text of your own to the person of a session of yours, by its conversation_id. Refused at night, beyond the budget of the session, and after a STOP. Use reply for what a person has asked.',
    input: z.strictObject({ conversation_id: z.uuid(), text, idempotency_key: once }),
    output: QueuedResult,
    annotations: TEXTS,
    run: (wanted, call) => post(call, wanted),
  }),
  tool({
    name: 'reply',
    scope: 'reply',
    title: 'Reply in a conversation',
    description:
      'The late answer to a request that you put off with 202: in_reply_to is its message_id. Without it, a text of your own, as send_sms.',
    input: z.strictObject({
      conversation_id: z.uuid(),
      text,
      in_reply_to: z.uuid().optional().describe('The message_id of the request this answers.'),
      idempotency_key: once,
    }),
    output: QueuedResult,
    annotations: TEXTS,
    run: (wanted, call) => post(call, wanted),
  }),
  tool({
    name: 'get_message',
    scope: 'read',
    title: 'One message',
    description:
      'A message of a session of yours and what became of it: whether a text was answered, whether an answer was delivered.',
    input: z.strictObject({ message_id: z.uuid() }),
    output: MessageResult,
    annotations: READS,
    async run({ message_id }, call) {
      const message = await findOwnMessage(readerOf(call), call.principal.id, message_id);
      if (message === null) throw new DarkspereError('not_found', NO_MESSAGE);
      return { notice: NOTICE, message: messageOf(message) };
    },
  }),
  tool({
    name: 'list_conversations',
    scope: 'read',
    title: 'Conversations',
    description: 'The conversations in which you have a session that goes on, newest session first.',
    input: z.strictObject({ limit: limit(50, 20), cursor }),
    output: OwnConversationsResult,
    annotations: READS,
    async run(query, call) {
      const reader = readerOf(call);
      const { data, next_cursor } = await listOwnSessions(reader, call.principal.id, query);
      const conversations = await readConversations(
        reader,
        data.map(({ conversationId }) => conversationId),
      );
      const since = new Map(data.map((session) => [session.conversationId, session.historyFrom]));
      return {
        notice: NOTICE,
        conversations: conversations.map((one) => ownConversationOf(one, since.get(one.id)!)),
        next_cursor,
      };
    },
  }),
  tool({
    name: 'get_conversation',
    scope: 'read',
    title: 'One conversation',
    description:
      'A conversation in which you have a session that goes on, with the messages of that session, newest first.',
    input: z.strictObject({ conversation_id: z.uuid(), limit: limit(100, 30), cursor }),
    output: OwnConversationResult,
    annotations: READS,
    async run({ conversation_id, ...page }, call) {
      const reader = readerOf(call);
      const session = await findOwnSession(reader, call.principal.id, conversation_id);
      const [conversation] = session === null ? [] : await readConversations(reader, [conversation_id]);
      if (session === null || conversation === undefined) throw new DarkspereError('not_found', NO_CONVERSATION);
      const { data, next_cursor } = await listOwnMessages(reader, session, page);
      return {
        notice: NOTICE,
        conversation: ownConversationOf(conversation, session.historyFrom),
        messages: data.map(messageOf),
        next_cursor,
      };
    },
  }),
];

type Wanted = {
  readonly conversation_id: string;
  readonly text: string;
  readonly in_reply_to?: string | undefined;
  readonly idempotency_key?: string | undefined;
};

async function post({ sql, principal, policy }: ToolCall, wanted: Wanted) {
  const { conversation_id: conversationId, text: words, in_reply_to = null, idempotency_key = null } = wanted;
  const what = { conversationId, text: words, inReplyTo: in_reply_to, idempotencyKey: idempotency_key };
  const posted = await postMessage(sql, { ...what, agentId: principal.id, mediaUrls: [] }, policy);
  return queued({ ...posted, conversationId });
}
