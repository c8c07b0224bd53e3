// What was said to agents on this page: it is there when one comes back to it, and gone with the tab.
import { useSyncExternalStore } from 'react';
import type { AgentChat } from '../../../src/http/contract.ts';
import { ApiError, change } from '../../api.ts';

export type Exchange = {
  readonly id: number;
  readonly message: string;
  readonly at: string;
  /** Null while the agent is asked. */
  readonly end: { readonly answer: AgentChat; readonly at: string } | { readonly problem: ApiError } | null;
};
export type Chat = { readonly exchanges: readonly Exchange[]; readonly sessionId: string | null };

const EMPTY: Chat = { exchanges: [], sessionId: null };
/** What the API takes of a history. */
const MOST_ENTRIES = 100;

const chats = new Map<string, Chat>();
const watchers = new Set<() => void>();
let nextId = 1;

function put(agentId: string, chat: Chat): void {
  chats.set(agentId, chat);
  for (const watcher of watchers) watcher();
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function useChat(agentId: string): Chat {
  return useSyncExternalStore(watch, () => chats.get(agentId) ?? EMPTY);
}

export function clearChat(agentId: string): void {
  put(agentId, EMPTY);
}

/** Asks the agent; what becomes of it is in the chat. */
export async function say(agentId: string, message: string): Promise<void> {
  const before = chats.get(agentId) ?? EMPTY;
  const asked: Exchange = { id: nextId++, message, at: new Date().toISOString(), end: null };
  put(agentId, { ...before, exchanges: [...before.exchanges, asked] });
  const body = {
    message,
    history: historyOf(before),
    ...(before.sessionId === null ? {} : { session_id: before.sessionId }),
  };
  const settle = (end: Exchange['end'], sessionId?: string) => {
    const now = chats.get(agentId) ?? EMPTY;
    // It was begun anew in between.
    if (!now.exchanges.some(({ id }) => id === asked.id)) return;
    put(agentId, {
      sessionId: sessionId ?? now.sessionId,
      exchanges: now.exchanges.map((each) => (each.id === asked.id ? { ...each, end } : each)),
    });
  };
  try {
    const answer = await change<AgentChat>('POST', `/v1/agents/${agentId}/chat`, body);
    settle({ answer, at: new Date().toISOString() }, answer.session_id);
  } catch (error) {
    settle({
      problem: error instanceof ApiError ? error : new ApiError(0, { code: 'console', message: String(error) }),
    });
  }
}

/** What was answered, as a text would bring it along. */
function historyOf({ exchanges }: Chat) {
  return exchanges
    .flatMap(({ message, at, end }) => {
      if (end === null || 'problem' in end || end.answer.reply === null) return [];
      return [
        { role: 'user', content: message, timestamp: at },
        { role: 'assistant', content: end.answer.reply.text, timestamp: end.at },
      ];
    })
    .slice(-MOST_ENTRIES);
}
