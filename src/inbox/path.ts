// The path of a text through us, as spans on one line of time: what was done, what was waited for, what was reported. From rows
// alone; it looks at no clock, so what still goes on has no end.
import { meaningOf, type PartRow, type TurnRow } from './message.ts';

export type ExchangeRow = {
  readonly id: string;
  readonly kind: 'agent' | 'send' | 'find';
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

/** A text of the burst: when its webhook came, if that is known, and when it was stored. */
export type StoredText = { readonly id: string; readonly received_at: Date | null; readonly stored_at: Date };

export type PathRows = {
  /** Oldest first; empty for what nobody asked for (a keyword's answer, a text of an agent's own). */
  readonly texts: readonly StoredText[];
  /** All that took these texts, oldest first: lost ones, interrupted ones, and the one that answered. */
  readonly turns: readonly TurnRow[];
  /** Oldest first. */
  readonly exchanges: readonly ExchangeRow[];
  /** In the order of their positions. */
  readonly parts: readonly PartRow[];
  /** What the carrier is called. */
  readonly carrier: string;
};

export type Span<E = ExchangeRow> = {
  id: string;
  kind: 'webhook' | 'wait' | 'turn' | 'agent' | 'commit' | 'pace' | 'send' | 'find' | 'carrier' | 'callback';
  name: string;
  shape: 'work' | 'wait' | 'point';
  started_at: string;
  ended_at: string | null;
  outcome: 'ok' | 'failed' | 'running' | 'unknown';
  note: string | null;
  exchange: E | null;
};

/** Shorter waits are the way of things and would only be noise. */
const LEAST_WAIT_MS = 5;
/** Of a flood the first texts are drawn. */
const MOST_TEXTS = 3;

type Draft = Omit<Span, 'started_at' | 'ended_at' | 'exchange' | 'note' | 'outcome'> & {
  readonly from: number;
  /** Null while it goes on; a point ends where it begins. */
  readonly to: number | null;
  readonly outcome?: Span['outcome'];
  readonly note?: string | null;
  readonly exchange?: ExchangeRow;
};

/** All spans, in the order in which they began. */
export function pathOf(rows: PathRows): Span[] {
  const drafts = [...textsIn(rows), ...rows.turns.flatMap((turn) => turnSpans(rows, turn)), ...partSpans(rows)];
  return drafts
    .map((draft, n) => ({ draft, n }))
    .sort((a, b) => a.draft.from - b.draft.from || a.n - b.n)
    .map(({ draft }) => spanOf(draft));
}

/** From the first moment to the last, milliseconds; null while something goes on. */
export function totalOf(spans: readonly Span<unknown>[]): number | null {
  if (spans.length === 0 || spans.some((span) => span.ended_at === null)) return null;
  const starts = spans.map((span) => Date.parse(span.started_at));
  const ends = spans.map((span) => Date.parse(span.ended_at!));
  return Math.max(...ends) - Math.min(...starts);
}

function spanOf({ from, to, outcome = to === null ? 'running' : 'ok', note = null, exchange, ...rest }: Draft): Span {
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    ...rest,
    started_at: iso(from),
    ended_at: to === null ? null : iso(Math.max(from, to)),
    outcome,
    note,
    exchange: exchange ?? null,
  };
}

function textsIn({ texts, turns }: PathRows): Draft[] {
  const drawn = texts.slice(0, MOST_TEXTS).map((text, n): Draft => {
    const stored = text.stored_at.getTime();
    const came = Math.min(text.received_at?.getTime() ?? stored, stored);
    const name = n === 0 ? 'Webhook, stored' : 'Another text, stored';
    if (text.received_at === null)
      return { id: `text-${text.id}`, kind: 'webhook', name, shape: 'point', from: stored, to: stored };
    const note =
      stored - came > 1_000
        ? 'It waited in the spool: the database was away.'
        : 'Signature checked, looked for repeats, committed; then the carrier heard 200.';
    return { id: `text-${text.id}`, kind: 'webhook', name, shape: 'work', from: came, to: stored, note };
  });
  const first = texts[0]?.stored_at.getTime();
  const begun = turns[0]?.started_at.getTime();
  if (first === undefined) return drawn;
  if (begun === undefined) return drawn;
  const more = texts.length === 1 ? '' : ` All ${texts.length} are answered together.`;
  const note = `Waited for more texts of this burst, and for its turn.${more}`;
  return [...drawn, ...wait('burst', 'Waits for more texts', first, begun, note)];
}

function wait(id: string, name: string, from: number, to: number | null, note: string, kind: Span['kind'] = 'wait') {
  const isShort = to !== null && to - from < LEAST_WAIT_MS;
  return isShort ? [] : [{ id, kind, name, shape: 'wait' as const, from, to, note }];
}

const TURN_ENDS: Readonly<Partial<Record<TurnRow['state'], string>>> = {
  lost: 'Its worker died; the texts were taken up again',
  cancelled: 'Cut off: a STOP, another text, or an operator',
  deferred: 'The agent answers later',
};

function turnSpans({ exchanges }: PathRows, turn: TurnRow): Draft[] {
  const calls = exchanges.filter((each) => each.kind === 'agent' && each.turn_id === turn.id);
  const spans: Draft[] = [];
  let free = turn.started_at.getTime();
  for (const call of calls) {
    const from = call.started_at.getTime();
    const to = from + call.duration_ms;
    if (call !== calls[0])
      spans.push(
        ...wait(
          `pause-${call.id}`,
          'Pause before the next try',
          free,
          from,
          'Everybody had failed; the trouble may pass.',
        ),
      );
    const isFailed = call.outcome === 'failed';
    spans.push({
      id: call.id,
      kind: 'agent',
      name: call.agent_name ?? 'An agent',
      shape: 'work',
      from,
      to,
      outcome: isFailed ? 'failed' : 'ok',
      note: agentNote(call),
      exchange: call,
    });
    free = to;
  }
  if (turn.ended_at === null) return [...spans, ...goesOn(turn, free)];
  const ended = turn.ended_at.getTime();
  const id = `end-${turn.id}`;
  const said = TURN_ENDS[turn.state];
  if (said !== undefined)
    return [
      ...spans,
      {
        id,
        kind: 'turn',
        name: said,
        shape: 'point',
        from: ended,
        to: ended,
        outcome: turn.state === 'deferred' ? 'ok' : 'unknown',
      },
    ];
  const isFallback = turn.state === 'fell_back';
  const name = isFallback ? 'Told that nobody could answer' : 'Answer committed';
  // A deferred turn ends with the agent's post, long after its call.
  if (calls.at(-1)?.outcome === 'deferred')
    spans.push(...wait(`later-${turn.id}`, 'The agent answers later', free, ended, 'It said 202: it has ten minutes.'));
  return [
    ...spans,
    {
      id,
      kind: 'commit',
      name,
      shape: 'work',
      from: calls.at(-1)?.outcome === 'deferred' ? ended : Math.min(free, ended),
      to: ended,
      outcome: isFallback ? 'failed' : 'ok',
      note: 'Reply, its parts and their send times, session and counters: one commit.',
    },
  ];
}

function goesOn(turn: TurnRow, from: number): Draft[] {
  if (turn.state === 'deferred')
    return [{ id: `later-${turn.id}`, kind: 'wait', name: 'The agent answers later', shape: 'wait', from, to: null }];
  return [{ id: `run-${turn.id}`, kind: 'agent', name: 'An agent is asked', shape: 'work', from, to: null }];
}

function agentNote({ outcome, http_status: status, error_code: code, late }: ExchangeRow): string {
  const answer = status === null ? 'No answer' : `HTTP ${status}`;
  if (late) return `${answer}. It came when the turn was decided already, and was dropped.`;
  if (outcome === 'failed')
    return `${answer}: ${code ?? 'it failed'}. What follows depends on the error: again, another agent, or the fallback.`;
  return outcome === 'deferred' ? `${answer}: it posts its answer later.` : `${answer}: it answered.`;
}

function partSpans(rows: PathRows): Draft[] {
  const { parts } = rows;
  return parts.flatMap((part, n) => onePart(rows, part, parts.length === 1 ? '' : ` (${n + 1} of ${parts.length})`));
}

function onePart({ exchanges, carrier }: PathRows, part: PartRow, suffix: string): Draft[] {
  const sends = exchanges.filter((each) => each.part_id === part.id);
  const ms = (at: Date | null) => at?.getTime() ?? null;
  const spans: Draft[] = [];
  const first = sends[0]?.started_at.getTime() ?? ms(part.sending_at);
  const isOver = part.ended_at !== null || part.state === 'void';
  const left = first ?? (isOver ? ms(part.ended_at) : null);
  spans.push(
    ...wait(
      `pace-${part.id}`,
      `Waits to leave${suffix}`,
      part.created_at.getTime(),
      left,
      'Its time on the sender, and the part before it, come first.',
      'pace',
    ),
  );
  let free = left ?? part.created_at.getTime();
  for (const call of sends) {
    const from = call.started_at.getTime();
    if (call !== sends[0])
      spans.push(
        ...wait(
          `again-${call.id}`,
          `Waits for another try${suffix}`,
          free,
          from,
          'The carrier refused for now, or did not say what it did.',
        ),
      );
    free = from + call.duration_ms;
    spans.push(sendSpan(call, carrier, suffix, from, free));
  }
  const ended = ms(part.ended_at);
  if (part.state === 'unknown')
    spans.push({
      id: `unknown-${part.id}`,
      kind: 'wait',
      name: `Nobody knows whether it left${suffix}`,
      shape: 'wait',
      from: free,
      to: null,
      note: 'It is looked up at the carrier, never sent blindly again.',
    });
  const sent = ms(part.sent_at);
  if (sent !== null)
    spans.push(
      ...carried(part.id, `With ${carrier}${suffix}`, free, sent),
      report(part, 'sent', `Sent${suffix}`, sent),
    );
  const isReported = ['delivered', 'read', 'undelivered', 'failed'].includes(part.state);
  if (ended !== null && isReported)
    spans.push(
      ...carried(`${part.id}-on`, `On its way${suffix}`, sent ?? free, ended),
      report(part, part.state, `${WORDS[part.state] ?? part.state}${suffix}`, ended),
    );
  else if (ended !== null) spans.push(report(part, part.state, `Not sent${suffix}`, ended));
  else if (part.state === 'accepted' || part.state === 'sent')
    spans.push({
      id: `open-${part.id}`,
      kind: 'carrier',
      name: `On its way${suffix}`,
      shape: 'wait',
      from: sent ?? free,
      to: null,
      note: 'The carrier has not reported its end yet.',
    });
  return spans;
}

const WORDS: Readonly<Record<string, string>> = {
  delivered: 'Delivered',
  read: 'Read',
  undelivered: 'Not delivered',
  failed: 'Failed',
};

function carried(id: string, name: string, from: number, to: number): Draft[] {
  return wait(`carrier-${id}`, name, from, to, 'Not in our hands.', 'carrier');
}

function report(part: PartRow, state: string, name: string, at: number): Draft {
  const isFailed = state === 'failed' || state === 'undelivered';
  const note =
    isFailed || state === 'void' ? [part.error_code, meaningOf(part)].filter(Boolean).join(': ') || null : null;
  return {
    id: `${state}-${part.id}`,
    kind: 'callback',
    name,
    shape: 'point',
    from: at,
    to: at,
    outcome: isFailed ? 'failed' : state === 'void' ? 'unknown' : 'ok',
    note,
  };
}

function sendSpan(call: ExchangeRow, carrier: string, suffix: string, from: number, to: number): Draft {
  const isFind = call.kind === 'find';
  const isRefused = call.outcome === 'refused' || call.outcome === 'failed';
  return {
    id: call.id,
    kind: call.kind === 'find' ? 'find' : 'send',
    name: isFind ? `Looked up at ${carrier}${suffix}` : `Handed to ${carrier}${suffix}`,
    shape: 'work',
    from,
    to,
    outcome: isRefused ? 'failed' : call.outcome === 'unknown' ? 'unknown' : 'ok',
    note: `${call.http_status === null ? 'No answer' : `HTTP ${call.http_status}`}: ${call.error_code ?? call.outcome}.`,
    exchange: call,
  };
}
