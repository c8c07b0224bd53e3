// Misbehaviour on demand. Each fault has a count of how many more times it happens; everything asks `take` at the one
// place where the fault would occur.

/** API name → what the count counts. */
export const FAULTS = {
  duplicateWebhooks: 'texts from people whose webhook is posted twice',
  duplicateCallbacks: 'messages whose status callbacks are each posted twice',
  missingCallbacks: 'messages without any status callback',
  http429: 'create requests answered 429, not accepted',
  http500BeforeAccept: 'create requests answered 500, not accepted',
  http500AfterAccept: 'create requests answered 500 although the message was accepted and is delivered',
  failWith: 'accepted messages that end as failed or undelivered with `code`',
} as const;

export type FaultName = keyof typeof FAULTS;
export type FaultPlan = {
  readonly [name in Exclude<FaultName, 'failWith'>]?: number;
} & { readonly failWith?: { readonly code: number; readonly count: number } };

export type Faults = {
  /** Replaces the counts that are named; the others stay. */
  set(plan: FaultPlan): void;
  clear(): void;
  /** What is still to happen. */
  pending(): Readonly<Record<FaultName, number>>;
  /** True, and one fewer left, when the fault is to happen now. */
  take(name: FaultName): boolean;
  /** The error code an accepted message is to end with; null for a normal delivery. */
  takeFailure(): number | null;
};

export function createFaults(): Faults {
  const left = Object.fromEntries(Object.keys(FAULTS).map((name) => [name, 0])) as Record<FaultName, number>;
  let failureCode = 30_007;
  const take = (name: FaultName): boolean => {
    if (left[name] === 0) return false;
    left[name] -= 1;
    return true;
  };
  return {
    set(plan) {
      const { failWith, ...counts } = plan;
      Object.assign(left, counts);
      if (failWith !== undefined) {
        left.failWith = failWith.count;
        failureCode = failWith.code;
      }
    },
    clear() {
      for (const name of Object.keys(left) as FaultName[]) left[name] = 0;
    },
    pending: () => ({ ...left }),
    take,
    takeFailure: () => (take('failWith') ? failureCode : null),
  };
}
