// What was said in sessions whose protocol does not tell it with every question: lately, in memory, and not much of it.
import type { HistoryEntry, Reply } from './chat.ts';
import { createRecent } from './recent.ts';

const KEPT = { keepMs: 24 * 3_600_000, most: 1_000 };
const MOST_ENTRIES = 20;

export type Transcripts = {
  of(sessionId: string): readonly HistoryEntry[];
  note(sessionId: string, message: string, reply: Reply): void;
};

export function createTranscripts(): Transcripts {
  const sessions = createRecent<readonly HistoryEntry[]>(KEPT);
  return {
    of: (sessionId) => sessions.get(sessionId) ?? [],
    note(sessionId, message, reply) {
      const timestamp = new Date();
      const said: HistoryEntry[] = [
        { role: 'user', content: message, timestamp },
        { role: 'assistant', content: reply.message, timestamp },
      ];
      sessions.set(sessionId, [...(sessions.get(sessionId) ?? []), ...said].slice(-MOST_ENTRIES));
    },
  };
}
