// Misbehaviour on demand: which fault happens to which text, request or message. Everything asks `take` at the one place
// where the fault would occur. What each fault does there is in the file that asks.

/**
 * What a fault happens to: a text of a person, a request to create a message, a message that was accepted, a lookup; a request to an
 * agent, which is no carrier's, but somebody who tries Darkspere has one place to break things.
 */
export type FaultPoint = 'text' | 'create' | 'message' | 'lookup' | 'listener' | 'agent';

/** Name → where it is asked and what one occurrence is. */
export const FAULTS = {
  duplicateWebhooks: [
    'text',
    'texts whose webhook is posted again: `copies` more (1), `delayMs` later (0: at the same time)',
  ],
  lateWebhooks: ['text', 'texts whose webhook is posted `delayMs` later (1,000)'],
  reorderedWebhooks: [
    'text',
    'texts posted after the next one of that person, or after `waitMs` (5,000) when there is none',
  ],
  http401: ['create', 'create requests answered 401 (20003), not accepted'],
  http429: ['create', 'create requests answered 429, not accepted; Retry-After `retryAfterSeconds` (1; null: none)'],
  http500BeforeAccept: ['create', 'create requests answered `status` (500), not accepted'],
  hangBeforeAccept: [
    'create',
    'create requests never answered, not accepted; the connection is cut after `hangMs` (60,000)',
  ],
  cutBeforeAccept: ['create', 'create requests whose connection is cut, not accepted'],
  refuseWith: ['create', 'create requests answered 400 with `code`; `accepted`: taken all the same (false)'],
  earlyCallbacks: ['create', 'messages whose callbacks are all posted before the create request is answered'],
  http500AfterAccept: [
    'create',
    'create requests answered `status` (500) although the message was accepted and is delivered',
  ],
  hangAfterAccept: ['create', 'accepted messages, never answered; the connection is cut after `hangMs` (60,000)'],
  cutAfterAccept: ['create', 'accepted messages whose connection is cut before the answer'],
  cutAnswer: ['create', 'accepted messages whose connection is cut in the middle of the answer'],
  slowAnswer: ['create', 'accepted messages whose answer drips in over `overMs` (5,000)'],
  malformedAnswer: ['create', 'accepted messages answered 200 with broken JSON'],
  lateInList: ['create', 'accepted messages that lists and fetches do not show for `delayMs` (5,000)'],
  duplicateCallbacks: ['message', 'messages whose status callbacks are each posted twice'],
  missingCallbacks: ['message', 'messages without status callbacks, or without that of `state`'],
  reorderedCallbacks: ['message', 'messages whose `sent` is reported after the state that follows it'],
  lateCallbacks: ['message', 'messages whose status callbacks are each posted `delayMs` (1,000) late'],
  unknownCallbacks: ['message', 'messages with one more callback each, for a message that was never sent'],
  foreignCallbacks: ['message', 'messages with one more callback each, for another account'],
  failWith: ['message', 'accepted messages that end as failed or undelivered with `code`'],
  http500OnLookup: ['lookup', 'list and fetch requests answered `status` (500)'],
  agentsDown: [
    'agent',
    'requests to agents refused as if nobody listened there, whoever texts; `match` narrows nothing',
  ],
  refuseConnections: [
    'listener',
    'nobody listens for `forMs`, or until it is taken away; new connections to /simulator are refused too',
  ],
} as const satisfies Record<string, readonly [point: FaultPoint, what: string]>;

export type FaultName = keyof typeof FAULTS;

/**
 * When a fault happens. `count` is how many more times (1 when nothing else is given), `ratio` the chance of each, `forMs`
 * until when; those that are given must all hold. `match` narrows it to addresses, or to bodies that contain a text.
 */
export type When = {
  readonly count?: number;
  readonly ratio?: number;
  readonly forMs?: number;
  readonly match?: { readonly from?: string; readonly to?: string; readonly body?: string };
};

/** What some faults can be told besides. */
type Details = {
  duplicateWebhooks: { readonly copies?: number; readonly delayMs?: number };
  lateWebhooks: { readonly delayMs?: number };
  reorderedWebhooks: { readonly waitMs?: number };
  http429: { readonly retryAfterSeconds?: number | null };
  http500BeforeAccept: { readonly status?: 500 | 502 | 503 | 504 };
  http500AfterAccept: { readonly status?: 500 | 502 | 503 | 504 };
  http500OnLookup: { readonly status?: 429 | 500 | 502 | 503 | 504 };
  hangBeforeAccept: { readonly hangMs?: number };
  hangAfterAccept: { readonly hangMs?: number };
  refuseWith: { readonly code: number; readonly accepted?: boolean };
  slowAnswer: { readonly overMs?: number };
  lateInList: { readonly delayMs?: number };
  missingCallbacks: { readonly state?: string };
  lateCallbacks: { readonly delayMs?: number };
  failWith: { readonly code: number };
};

export type DetailsOf<Name extends FaultName> = Name extends keyof Details ? Details[Name] : object;
export type Rule<Name extends FaultName> = When & DetailsOf<Name>;

type Setting<Name extends FaultName> =
  | (Name extends 'failWith' | 'refuseWith' ? never : number)
  | Rule<Name>
  | readonly Rule<Name>[];

/** A number is `{ count }`; a list holds several rules for one fault, of which the first that fits happens. */
export type FaultPlan = {
  readonly [Name in FaultName]?: Setting<Name>;
};

/** What the fault would happen to. */
export type Subject = {
  readonly from: string;
  readonly to: string;
  readonly body: string;
  /** The how many-th of its kind between these two, from 1: what a seeded choice depends on, instead of the time. */
  readonly ordinal: number;
};

export type Faults = {
  /** Replaces the rules of the faults that are named; the others stay. 0 takes a fault away. */
  set(plan: FaultPlan): void;
  /** Adds one rule behind those there are. */
  add<Name extends FaultName>(name: Name, rule: Rule<Name>): void;
  /** Faults by chance; here a number is `{ ratio }`. Repeatable: the same seed chooses the same texts and messages, whatever their timing. */
  mix(seed: number, ratios: FaultPlan): void;
  /** Takes every fault away. */
  clear(): void;
  /** How many times each is still to happen; Infinity while it happens by chance or for a time. */
  pending(): Readonly<Record<FaultName, number>>;
  /** Counts one more text or create request between two addresses. */
  subject(point: 'text' | 'create', what: Omit<Subject, 'ordinal'>): Subject;
  /** The details of the fault when it is to happen now, and then one fewer is left; null when it is not. */
  take<Name extends FaultName>(name: Name, subject?: Subject): DetailsOf<Name> | null;
};
