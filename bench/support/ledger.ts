// What was asked and what came back, text by text. Every text carries its number, the agent repeats it, and the carrier
// reads it off the reply: nothing is estimated.

export type Ledger = {
  /** A text that the carrier has for us at `dueMs`; gives its number. */
  offer(person: number, dueMs: number): number;
  /** The webhook was answered 200: from here on the text may not be lost. */
  accepted(text: number): void;
  refused(text: number): void;
  /** A reply reached the carrier at `atMs`. */
  replied(body: string, to: number, atMs: number): void;
  /** Accepted texts that no reply has reached. */
  readonly open: number;
  counts(): Counts;
  latenciesMs(): number[];
};

export type Counts = {
  readonly offered: number;
  readonly accepted: number;
  readonly refused: number;
  readonly lost: number;
  /** Answered more than once. */
  readonly doubled: number;
  /** Answered after a later text of the same person. */
  readonly outOfOrder: number;
  /** Replies that answer nothing of this load, or reached another person. */
  readonly strange: number;
};

/** The words of a text; the agent gives them back as they are. */
export const textBody = (load: string, text: number): string => `${load}x${text}`;

export function createLedger(load: string): Ledger {
  const pattern = new RegExp(`\\b${load}x(\\d+)\\b`, 'g');
  const persons: number[] = [];
  const dueMs: number[] = [];
  const isAccepted: boolean[] = [];
  const answers: number[] = [];
  const latencies: number[] = [];
  const newest = new Map<number, number>();
  let refused = 0;
  let acceptedCount = 0;
  let answered = 0;
  let doubled = 0;
  let outOfOrder = 0;
  let strange = 0;

  function answer(text: number, to: number, atMs: number): void {
    if (persons[text] !== to) {
      strange++;
      return;
    }
    answers[text] = (answers[text] ?? 0) + 1;
    if (answers[text] > 1) {
      doubled++;
      return;
    }
    latencies.push(atMs - dueMs[text]!);
    // A reply can be faster than the answer to the webhook: only accepted texts count as open.
    if (isAccepted[text]) answered++;
    if (text < (newest.get(to) ?? -1)) outOfOrder++;
    else newest.set(to, text);
  }

  return {
    offer(person, due) {
      persons.push(person);
      dueMs.push(due);
      return persons.length - 1;
    },
    accepted(text) {
      isAccepted[text] = true;
      acceptedCount++;
      if (answers[text] !== undefined) answered++;
    },
    refused() {
      refused++;
    },
    replied(body, to, atMs) {
      let any = false;
      for (const [, text] of body.matchAll(pattern)) {
        any = true;
        answer(Number(text), to, atMs);
      }
      if (!any) strange++;
    },
    get open() {
      return acceptedCount - answered;
    },
    counts: () => ({
      offered: persons.length,
      accepted: acceptedCount,
      refused,
      lost: acceptedCount - answered,
      doubled,
      outOfOrder,
      strange,
    }),
    latenciesMs: () => latencies,
  };
}
