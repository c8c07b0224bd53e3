// Reminders that outlive the process: a small file, replaced whole by a rename, so that a crash leaves the old or the new one.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

export type Reminder = {
  readonly id: string;
  readonly conversationId: string;
  readonly text: string;
  readonly dueMs: number;
};

/** `done` also stands for "will never be possible": the person opted out, the conversation is gone. */
export type Delivery = (reminder: Reminder, signal: AbortSignal) => Promise<'done' | 'retry'>;

export type Reminders = {
  /** Sets a reminder; one id is one reminder, however often it is added. */
  add(reminder: Reminder): void;
  /** Those of one conversation, soonest first. */
  of(conversationId: string): Reminder[];
  forget(conversationId: string): void;
  close(): Promise<void>;
};

const GIVE_UP_MS = 6 * 3_600_000;
const LONGEST_PAUSE_MS = 5 * 60_000;
// Timers take at most 2^31 - 1 ms; looking again every hour also follows a clock that was set.
const LONGEST_TIMER_MS = 3_600_000;

/** Opens the reminders kept in `file`; those that came due meanwhile are delivered at once. */
export function openReminders({
  file,
  deliver,
  retryMs,
}: {
  file: string;
  deliver: Delivery;
  retryMs: number;
}): Reminders {
  const reminders = new Map(load(file).map((reminder) => [reminder.id, reminder]));
  const pauses = new Map<string, { failures: number; untilMs: number }>();
  const running = new Map<string, Promise<void>>();
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  const save = () => {
    writeFileSync(`${file}.new`, `${JSON.stringify([...reminders.values()], null, 2)}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  const remove = (ids: readonly string[]) => {
    for (const id of ids) {
      reminders.delete(id);
      pauses.delete(id);
    }
    if (ids.length > 0) save();
  };
  const dueAt = ({ id, dueMs }: Reminder) => pauses.get(id)?.untilMs ?? dueMs;

  const attempt = async (reminder: Reminder) => {
    const outcome = await deliver(reminder, stop.signal).catch(() => 'retry' as const);
    running.delete(reminder.id);
    if (stop.signal.aborted && outcome === 'retry') return;
    if (outcome === 'done' || Date.now() > reminder.dueMs + GIVE_UP_MS) remove([reminder.id]);
    else pause(reminder.id);
    schedule();
  };
  const pause = (id: string) => {
    const failures = (pauses.get(id)?.failures ?? 0) + 1;
    pauses.set(id, {
      failures,
      untilMs: Date.now() + Math.min(LONGEST_PAUSE_MS, retryMs * 2 ** Math.min(failures - 1, 20)),
    });
  };
  const schedule = () => {
    clearTimeout(timer);
    if (stop.signal.aborted) return;
    const waiting = [...reminders.values()].filter(({ id }) => !running.has(id));
    const now = Date.now();
    for (const reminder of waiting) if (dueAt(reminder) <= now) running.set(reminder.id, attempt(reminder));
    const next = Math.min(...waiting.map(dueAt).filter((at) => at > now));
    if (next !== Number.POSITIVE_INFINITY) timer = setTimeout(schedule, Math.min(LONGEST_TIMER_MS, next - now));
  };

  schedule();
  return {
    add(reminder) {
      if (reminders.has(reminder.id)) return;
      reminders.set(reminder.id, reminder);
      save();
      schedule();
    },
    of: (conversationId) =>
      [...reminders.values()]
        .filter((reminder) => reminder.conversationId === conversationId)
        .sort((a, b) => a.dueMs - b.dueMs),
    forget(conversationId) {
      remove(
        [...reminders.values()].filter((reminder) => reminder.conversationId === conversationId).map(({ id }) => id),
      );
      schedule();
    },
    async close() {
      stop.abort();
      clearTimeout(timer);
      await Promise.all(running.values());
    },
  };
}

function load(file: string): Reminder[] {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(parsed) ? parsed.filter(isReminder) : [];
  } catch {
    // Absent at the first start; a damaged file costs the reminders in it, never the agent.
    return [];
  }
}

function isReminder(value: unknown): value is Reminder {
  const { id, conversationId, text, dueMs } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof id === 'string' &&
    typeof conversationId === 'string' &&
    typeof text === 'string' &&
    typeof dueMs === 'number'
  );
}
