// Where the promise ends: requests that were on their way to the carrier for more than a minute.
import type { Accepted, History } from './history.ts';
import type { Rows } from './rows.ts';

/** A part that the carrier does not know a minute after it was sent counts as never taken and is sent again (settle.ts). */
const MINUTE_MS = 60_000;

/**
 * Parts of which a request reached the carrier more than that minute after it left, and another one before or after it: what is
 * promised ends there. It happens on a machine on which the process that plays the carrier comes to nothing for so long.
 */
export function partsSentLate(history: History, rows: Rows): Set<string> {
  const tries = Map.groupBy(rows.tries, (one) => one.part_id);
  const messages = Map.groupBy(history.accepted, (message) => message.partId ?? '');
  const isLate = (part: string, taken: readonly Accepted[]) =>
    taken.slice(0, -1).every(({ atMs }, n) => {
      const made = tries.get(part)?.find(({ attempt }) => attempt === n + 1);
      return made !== undefined && atMs > made.started_at.getTime() + MINUTE_MS;
    });
  return new Set([...messages].flatMap(([part, taken]) => (taken.length > 1 && isLate(part, taken) ? [part] : [])));
}

/** Of those parts the first message counts, under the id that the part has. */
export function withoutLateRequests(history: History, rows: Rows): History {
  const late = partsSentLate(history, rows);
  if (late.size === 0) return history;
  const ids = new Map(rows.parts.map((part) => [part.id, part.provider_id]));
  const met = new Set<string | null>();
  const accepted = history.accepted.flatMap((message) => {
    if (message.partId === null || !late.has(message.partId)) return [message];
    if (met.has(message.partId)) return [];
    met.add(message.partId);
    return [{ ...message, sid: ids.get(message.partId) ?? message.sid }];
  });
  return { ...history, accepted };
}
