/** Twilio stops two machines that answer each other: 15 replies by TwiML in 30 s between two numbers (14107). */
const MOST = 15;
const WITHIN_MS = 30_000;

export type LoopGuard = {
  /** Counts one more reply; false when it is one too many. */
  allow(ours: string, theirs: string, nowMs: number): boolean;
};

export function createLoopGuard(): LoopGuard {
  const repliedAtMs = new Map<string, number[]>();
  return {
    allow(ours, theirs, nowMs) {
      const pair = `${ours}|${theirs}`;
      const recent = (repliedAtMs.get(pair) ?? []).filter((atMs) => nowMs - atMs < WITHIN_MS);
      repliedAtMs.set(pair, recent);
      if (recent.length >= MOST) return false;
      recent.push(nowMs);
      return true;
    },
  };
}
