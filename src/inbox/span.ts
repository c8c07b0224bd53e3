// What a path is drawn with: spans of work, of waiting, and points.
import type { PartRow, TurnRow } from './message.ts';

export type ExchangeRow = {
  readonly id: string;
  readonly kind: 'agent' | 'send';
  readonly turn_id: string | null;
  readonly part_id: string | null;
  readonly agent_name: string | null;
  readonly attempt: number;
  readonly http_status: number | null;
  readonly outcome: string;
  readonly error_code: string | null;
  readonly started_at: Date;
  readonly duration_ms: number;
  readonly late: boolean;
};

/** A text: when its webhook came, if that is known, and when it was stored. */
export type StoredText = { readonly id: string; readonly received_at: Date | null; readonly stored_at: Date };

export type PathRows = {
  /** Oldest first; empty for what nobody asked for (a text of an agent's or of an operator's own). */
  readonly texts: readonly StoredText[];
  /** What became of texts that no turn has taken; null where one has, or there is no text. */
  readonly fate: TextFate | null;
  /** The burst window of the number, milliseconds. */
  readonly quietMs: number;
  /** When the answer before was committed, where the texts came while it was in the making. */
  readonly behind: Date | null;
  /** All that took these texts, oldest first: lost ones, interrupted ones, and the one that answered. */
  readonly turns: readonly TurnRow[];
  /** Oldest first. */
  readonly exchanges: readonly ExchangeRow[];
  /** In the order of their positions. */
  readonly parts: readonly PartRow[];
  /** What the carrier is called. */
  readonly carrier: string;
};

export type TextFate =
  | { readonly kind: 'waiting' | 'held' | 'with_operator' | 'handled' | 'cancelled' }
  | { readonly kind: 'refused'; readonly reason: string };

export type Outcome = 'ok' | 'failed' | 'running' | 'unknown';
export type Span<E = ExchangeRow> = {
  id: string;
  kind: 'webhook' | 'wait' | 'turn' | 'agent' | 'commit' | 'pace' | 'send' | 'find' | 'carrier' | 'callback';
  name: string;
  shape: 'work' | 'wait' | 'point';
  started_at: string;
  ended_at: string | null;
  outcome: Outcome;
  note: string | null;
  exchange: E | null;
};

/** A span with times in milliseconds; `to` is null while it goes on. */
export type Draft = Pick<Span, 'id' | 'kind' | 'name' | 'shape'> & {
  readonly from: number;
  readonly to: number | null;
  readonly outcome?: Outcome;
  readonly note?: string | null;
  readonly exchange?: ExchangeRow;
};

/** Shorter waits are the way of things and would only be noise. */
const LEAST_WAIT_MS = 5;

type Wait = { id: string; name: string; from: number; to: number | null; note: string; kind?: Span['kind'] };

export function wait({ id, name, from, to, note, kind = 'wait' }: Wait): Draft[] {
  if (to !== null && to - from < LEAST_WAIT_MS) return [];
  return [{ id, kind, name, shape: 'wait', from, to, note }];
}

export function point(draft: Omit<Draft, 'shape' | 'from' | 'to'> & { readonly at: number }): Draft {
  const { at, ...rest } = draft;
  return { ...rest, shape: 'point', from: at, to: at };
}

/** A length of time for a sentence: 350 ms, 2.0 s, 5 min, 3 h. */
export function lasting(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 5_400_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
