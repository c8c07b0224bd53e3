// The path of a text through us, as spans on one line of time: what was done, what was waited for, what was reported. From rows
// alone; it looks at no clock, so what still goes on has no end.
import { refusalText, type TurnRow } from './message.ts';
import { partSpans } from './path-parts.ts';
import {
  type Draft,
  type ExchangeRow,
  lasting,
  type PathRows,
  point,
  type Span,
  type StoredText,
  wait,
} from './span.ts';

/** Of a flood the first texts are drawn. */
const MOST_TEXTS = 3;
/** A burst is taken as complete so long after its first text. */
const LONGEST_BURST_MS = 5_000;
/** What takes longer than this to be stored was in the spool. */
const SPOOLED_MS = 2_000;

/** All spans, in the order in which they began. */
export function pathOf(rows: PathRows): Span[] {
  const drafts = [...rows.texts.slice(0, MOST_TEXTS).flatMap(textSpans), ...untilTurn(rows), ...turnSpans(rows)];
  return [...drafts, ...partSpans(rows)]
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

function textSpans(text: StoredText, n: number): Draft[] {
  const stored = text.stored_at.getTime();
  const came = Math.min(text.received_at?.getTime() ?? stored, stored);
  const name = n === 0 ? 'Webhook, stored' : 'Another text, stored';
  const span = { id: `text-${text.id}`, kind: 'webhook' as const, name };
  if (text.received_at === null) return [point({ ...span, at: stored })];
  if (stored - came < SPOOLED_MS) {
    const note = 'Signature checked, looked for repeats, committed; then the carrier heard 200.';
    return [{ ...span, shape: 'work', from: came, to: stored, note }];
  }
  return [
    point({
      ...span,
      name: n === 0 ? 'Webhook, kept in the spool' : 'Another text, kept in the spool',
      at: came,
      note: 'The database was away: on disk, then the carrier heard 200.',
    }),
    ...wait({
      id: `spool-${text.id}`,
      name: 'In the spool',
      from: came,
      to: stored,
      note: `Stored ${lasting(stored - came)} later, when the database was back.`,
    }),
  ];
}

/** What the texts waited for before a turn took them, or wait for still. */
function untilTurn({ texts, turns, quietMs, behind, fate }: PathRows): Draft[] {
  const [first] = texts;
  if (first === undefined) return [];
  const from = first.stored_at.getTime();
  const begun = turns[0]?.started_at.getTime();
  if (begun === undefined) return fate === null ? [] : unturned(first, from, fate);

  const spans: Draft[] = [];
  let free = from;
  if (behind !== null && behind.getTime() > free) {
    const to = Math.min(behind.getTime(), begun);
    const note = 'An answer to what was said before was in the making; there is one at a time.';
    spans.push(...wait({ id: 'behind', name: 'Behind the answer before it', from: free, to, note }));
    free = Math.max(free, to);
  }
  // A text that came after the turn began has a turn of its own, or interrupted this one.
  const last = texts.findLast((text) => text.stored_at.getTime() <= begun) ?? first;
  const burstEnd = Math.min(last.stored_at.getTime() + quietMs, from + LONGEST_BURST_MS, begun);
  if (quietMs > 0 && burstEnd > free) {
    const together = texts.length === 1 ? '' : ` ${texts.length} came, and are answered together.`;
    const note = `Waited ${lasting(burstEnd - free)} for more texts of this burst.${together}`;
    spans.push(...wait({ id: 'burst', name: 'Waits for more texts', from: free, to: burstEnd, note }));
    free = burstEnd;
  }
  const note = `${lasting(begun - free)} until its turn began: other conversations were served, or this one was held or with an operator.`;
  return [...spans, ...wait({ id: 'queue', name: 'Waits for its turn', from: free, to: begun, note })];
}

function unturned(text: StoredText, from: number, fate: NonNullable<PathRows['fate']>): Draft[] {
  const id = `fate-${text.id}`;
  switch (fate.kind) {
    case 'waiting':
      return wait({ id, name: 'Waits for its turn', from, to: null, note: 'For the end of its burst, and its turn.' });
    case 'held':
      return wait({
        id,
        name: 'Held',
        from,
        to: null,
        note: 'The conversation goes round too fast, as between two machines. One turn answers all that waits.',
      });
    case 'with_operator':
      return wait({
        id,
        name: 'With an operator',
        from,
        to: null,
        note: 'An operator has taken the conversation over; the agent is silent.',
      });
    case 'handled':
      return [point({ id, kind: 'commit', name: 'A keyword, handled at once', at: from, note: 'No agent is asked.' })];
    case 'cancelled':
      return [point({ id, kind: 'turn', name: 'Not answered', at: from, outcome: 'unknown', note: 'A STOP came.' })];
    case 'refused':
      return [
        point({
          id,
          kind: 'turn',
          name: 'Not for an agent',
          at: from,
          outcome: 'failed',
          note: `Not taken, because ${refusalText(fate.reason)}.`,
        }),
      ];
  }
}

function turnSpans(rows: PathRows): Draft[] {
  return rows.turns.flatMap((turn, n) => {
    const before = rows.turns[n - 1]?.ended_at?.getTime();
    const from = turn.started_at.getTime();
    const again =
      before === undefined
        ? []
        : wait({
            id: `again-${turn.id}`,
            name: 'Taken up again',
            from: before,
            to: from,
            note: AGAIN[rows.turns[n - 1]!.state] ?? NEXT,
          });
    return [...again, ...oneTurn(rows.exchanges, turn)];
  });
}

const NEXT = 'The next turn took the texts.';
const AGAIN: Readonly<Partial<Record<TurnRow['state'], string>>> = {
  lost: 'Its worker was gone. Nothing was said, so the same texts are asked again, under the same id.',
  cancelled: 'Another text came: all of them are asked together.',
};

const TURN_ENDS: Readonly<Partial<Record<TurnRow['state'], string>>> = {
  lost: 'Its worker died; the texts were taken up again',
  cancelled: 'Cut off: a STOP, another text, or an operator',
};

function oneTurn(exchanges: readonly ExchangeRow[], turn: TurnRow): Draft[] {
  const calls = exchanges.filter((each) => each.kind === 'agent' && each.turn_id === turn.id);
  const spans = callSpans(calls, turn);
  const free = Math.max(
    turn.started_at.getTime(),
    ...calls.map((call) => call.started_at.getTime() + call.duration_ms),
  );
  const isDeferred = calls.at(-1)?.outcome === 'deferred' || turn.state === 'deferred';
  const later = {
    id: `later-${turn.id}`,
    name: 'The agent answers later',
    from: free,
    note: 'It said 202: it has ten minutes.',
  };
  if (turn.state === 'deferred') return [...spans, ...wait({ ...later, to: null })];
  if (turn.ended_at === null) {
    return [
      ...spans,
      { id: `run-${turn.id}`, kind: 'agent', name: 'An agent is asked', shape: 'work', from: free, to: null },
    ];
  }
  const ended = turn.ended_at.getTime();
  const id = `end-${turn.id}`;
  const said = TURN_ENDS[turn.state];
  if (said !== undefined) return [...spans, point({ id, kind: 'turn', name: said, at: ended, outcome: 'unknown' })];
  const isFallback = turn.state === 'fell_back';
  return [
    ...spans,
    ...(isDeferred ? wait({ ...later, to: ended }) : []),
    {
      id,
      kind: 'commit',
      name: isFallback ? 'Nobody could answer' : 'Answer committed',
      shape: 'work',
      from: isDeferred ? ended : Math.min(free, ended),
      to: ended,
      outcome: isFallback ? 'failed' : 'ok',
      note: isFallback
        ? `${turn.error_code ?? 'agent_none'}. The person is told so, once an hour at most.`
        : 'Reply, its parts and their send times, session and counters: one commit.',
    },
  ];
}

function callSpans(calls: readonly ExchangeRow[], turn: TurnRow): Draft[] {
  let free = turn.started_at.getTime();
  return calls.flatMap((call, n) => {
    const from = call.started_at.getTime();
    const to = from + call.duration_ms;
    const note = `${lasting(from - free)} to find whom to ask next; longer where nobody else could be asked, or one had named a time.`;
    const pause =
      n === 0 ? [] : wait({ id: `pause-${call.id}`, name: 'Until the next try', from: free, to: from, note });
    free = to;
    return [
      ...pause,
      {
        id: call.id,
        kind: 'agent' as const,
        name: call.agent_name ?? 'An agent',
        shape: 'work' as const,
        from,
        to,
        outcome: call.outcome === 'failed' ? ('failed' as const) : ('ok' as const),
        note: agentNote(call, calls[n + 1]),
        exchange: call,
      },
    ];
  });
}

function agentNote(call: ExchangeRow, next: ExchangeRow | undefined): string {
  const answer = call.http_status === null ? 'No answer' : `HTTP ${call.http_status}`;
  if (call.late) return `${answer}. It came when the turn was decided already, and was dropped.`;
  if (call.outcome === 'deferred') return `${answer}: it posts its answer later.`;
  if (call.outcome !== 'failed') return `${answer}: it answered.`;
  const after =
    next === undefined
      ? ''
      : `, then ${next.agent_name === call.agent_name ? 'asked once more' : `${next.agent_name ?? 'another agent'} was asked`}`;
  return `${answer}: ${call.error_code ?? 'it failed'}${after}.`;
}
