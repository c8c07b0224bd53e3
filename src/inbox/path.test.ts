// The path of every kind of story, as lines: `+ms–ms kind shape outcome name`.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PartRow, TurnRow } from './message.ts';
import { pathOf, totalOf } from './path.ts';
import { type ExchangeRow, lasting, type PathRows } from './span.ts';

const T0 = Date.parse('2026-01-31T10:00:00.000Z');
const at = (ms: number) => new Date(T0 + ms);
const text = (ms: number, came: number | null = ms - 10) => ({
  id: `text${ms}`,
  stored_at: at(ms),
  received_at: came === null ? null : at(came),
});
const turn = (id: string, from: number, to: number | null, more: Partial<TurnRow> = {}): TurnRow => ({
  id,
  conversation_id: 'c',
  from_seq: 1,
  to_seq: 1,
  state: to === null ? 'running' : 'replied',
  agent_id: 'a',
  agent_name: 'Ada',
  attempts: 1,
  error_code: null,
  started_at: at(from),
  ended_at: to === null ? null : at(to),
  ...more,
});
const call = (id: string, from: number, ms: number, more: Partial<ExchangeRow> = {}): ExchangeRow => ({
  id,
  kind: 'agent',
  turn_id: 't',
  part_id: null,
  agent_name: 'Ada',
  attempt: 1,
  http_status: 200,
  outcome: 'reply',
  error_code: null,
  started_at: at(from),
  duration_ms: ms,
  late: false,
  ...more,
});
const send = (id: string, from: number, ms: number, more: Partial<ExchangeRow> = {}) =>
  call(id, from, ms, { kind: 'send', turn_id: null, part_id: 'p', http_status: 201, outcome: 'accepted', ...more });
const part = (created: number, more: Partial<Record<keyof PartRow, unknown>> = {}): PartRow =>
  ({
    id: 'p',
    message_id: 'm',
    position: 1,
    body: 'fine',
    media_urls: [],
    segments: 1,
    state: 'delivered',
    attempts: 1,
    provider_id: 'SM1',
    error_code: null,
    error_reason: null,
    created_at: at(created),
    send_at: at(created),
    sending_at: null,
    accepted_at: null,
    sent_at: null,
    ended_at: null,
    ...more,
  }) as PartRow;

const rows = (more: Partial<PathRows>): PathRows => ({
  texts: [text(0)],
  fate: null,
  quietMs: 800,
  behind: null,
  turns: [],
  exchanges: [],
  parts: [],
  carrier: 'the carrier',
  ...more,
});

function drawn(more: Partial<PathRows>): string[] {
  return pathOf(rows(more)).map(({ started_at, ended_at, kind, shape, outcome, name }) => {
    const ms = (time: string) => Date.parse(time) - T0;
    const span = shape === 'point' ? `${ms(started_at)}` : `${ms(started_at)}–${ended_at === null ? '' : ms(ended_at)}`;
    return `${span} ${kind} ${shape} ${outcome}: ${name}`;
  });
}
const notes = (more: Partial<PathRows>) => pathOf(rows(more)).map(({ note }) => note ?? '');
const delivered = part(1_400, { accepted_at: at(1_460), sent_at: at(1_700), ended_at: at(2_000) });

describe('the path of', () => {
  it('a text that is answered', () => {
    const story = {
      turns: [turn('t', 805, 1_400)],
      exchanges: [call('e', 810, 580), send('s', 1_410, 50)],
      parts: [delivered],
    };
    assert.deepEqual(drawn(story), [
      '-10–0 webhook work ok: Webhook, stored',
      '0–800 wait wait ok: Waits for more texts',
      '800–805 wait wait ok: Waits for its turn',
      '810–1390 agent work ok: Ada',
      '1390–1400 commit work ok: Answer committed',
      '1400–1410 wait wait ok: Waits in line',
      '1410–1460 send work ok: Handed to the carrier',
      '1460–1700 carrier wait ok: With the carrier',
      '1700 callback point ok: Sent',
      '1700–2000 carrier wait ok: On its way',
      '2000 callback point ok: Delivered',
    ]);
    assert.ok(notes(story).includes('Waited 800 ms for more texts of this burst.'));
    assert.equal(totalOf(pathOf(rows(story))), 2_010);
  });

  it('a burst of sixty texts: the first are drawn, all are counted', () => {
    const texts = Array.from({ length: 60 }, (_, n) => text(n * 100));
    const spans = drawn({ texts, turns: [turn('t', 5_010, 5_100)] });
    assert.equal(spans.filter((line) => line.includes('webhook')).length, 3);
    assert.ok(spans.includes('0–5000 wait wait ok: Waits for more texts'));
    assert.ok(notes({ texts, turns: [turn('t', 5_010, 5_100)] }).some((note) => note.includes('60 came')));
  });

  it('a text that was in the spool for five minutes', () => {
    const texts = [text(300_000, 0)];
    assert.deepEqual(drawn({ texts, quietMs: 0, turns: [turn('t', 300_000, null)] }), [
      '0 webhook point ok: Webhook, kept in the spool',
      '0–300000 wait wait ok: In the spool',
      '300000– agent work running: An agent is asked',
    ]);
    assert.ok(notes({ texts, turns: [turn('t', 300_000, null)] }).some((note) => note.includes('5 min later')));
  });

  it('a text without the time of its webhook, behind another answer', () => {
    assert.deepEqual(drawn({ texts: [text(0, null)], behind: at(3_000), turns: [turn('t', 3_050, null)] }), [
      '0 webhook point ok: Webhook, stored',
      '0–3000 wait wait ok: Behind the answer before it',
      '3000–3050 wait wait ok: Waits for its turn',
      '3050– agent work running: An agent is asked',
    ]);
  });

  it('failover: who failed, how long it took to ask somebody else, who was asked then', () => {
    const story = {
      quietMs: 0,
      turns: [turn('t', 0, 3_000)],
      exchanges: [
        call('e1', 5, 95, { outcome: 'failed', http_status: 500, error_code: 'agent_http' }),
        call('e2', 1_100, 1_890, { agent_name: 'Bea' }),
      ],
    };
    assert.deepEqual(drawn(story).slice(1), [
      '5–100 agent work failed: Ada',
      '100–1100 wait wait ok: Until the next try',
      '1100–2990 agent work ok: Bea',
      '2990–3000 commit work ok: Answer committed',
    ]);
    assert.ok(notes(story).includes('HTTP 500: agent_http, then Bea was asked.'));
    // Not that everybody had failed: only Ada had.
    assert.ok(notes(story).every((note) => !note.includes('everybody')));
  });

  it('nobody who could answer', () => {
    const story = {
      quietMs: 0,
      turns: [turn('t', 0, 60_000, { state: 'fell_back', error_code: 'agent_timeout' })],
      exchanges: [call('e', 5, 59_000, { outcome: 'failed', http_status: null, error_code: 'agent_timeout' })],
    };
    assert.equal(drawn(story).at(-1), '59005–60000 commit work failed: Nobody could answer');
    assert.match(notes(story).at(-1)!, /^agent_timeout/);
  });

  it('an agent that said 202: waiting, answered, and given up', () => {
    const exchanges = [call('e', 5, 20, { outcome: 'deferred', http_status: 202 })];
    const waiting = drawn({ quietMs: 0, exchanges, turns: [turn('t', 0, 30, { state: 'deferred' })] });
    assert.equal(waiting.at(-1), '25– wait wait running: The agent answers later');
    const answered = drawn({ quietMs: 0, exchanges, turns: [turn('t', 0, 40_000)] });
    assert.deepEqual(answered.slice(-2), [
      '25–40000 wait wait ok: The agent answers later',
      '40000–40000 commit work ok: Answer committed',
    ]);
    const gone = drawn({ quietMs: 0, exchanges, turns: [turn('t', 0, 600_000, { state: 'fell_back' })] });
    assert.equal(gone.at(-1), '600000–600000 commit work failed: Nobody could answer');
  });

  it('a worker that died: the same texts in another turn', () => {
    assert.deepEqual(
      drawn({
        quietMs: 0,
        turns: [turn('x', 0, 2_000, { state: 'lost' }), turn('t', 2_010, 2_500)],
        exchanges: [call('late', 5, 3_000, { turn_id: 'x', late: true }), call('e', 2_015, 480)],
      }),
      [
        '-10–0 webhook work ok: Webhook, stored',
        '5–3005 agent work ok: Ada',
        '2000 turn point unknown: Its worker died; the texts were taken up again',
        '2000–2010 wait wait ok: Taken up again',
        '2015–2495 agent work ok: Ada',
        '2495–2500 commit work ok: Answer committed',
      ],
    );
  });

  it('an interruption, and a STOP in the middle', () => {
    const interrupted = [turn('x', 0, 400, { state: 'cancelled' }), turn('t', 410, 900)];
    const spans = drawn({ quietMs: 0, texts: [text(0), text(390)], turns: interrupted });
    assert.ok(spans.includes('400 turn point unknown: Cut off: a STOP, another text, or an operator'));
    assert.ok(spans.includes('400–410 wait wait ok: Taken up again'));
    const stopped = drawn({
      quietMs: 0,
      turns: [turn('t', 0, 100)],
      exchanges: [call('e', 5, 90)],
      parts: [part(100, { state: 'void', error_code: 'opted_out', ended_at: at(150), accepted_at: null })],
    });
    assert.equal(stopped.at(-1), '150 send point unknown: Not sent');
  });

  it('what no turn took: waiting, held, with an operator, refused, a keyword', () => {
    const of = (fate: PathRows['fate']) => drawn({ fate }).at(-1);
    assert.equal(of({ kind: 'waiting' }), '0– wait wait running: Waits for its turn');
    assert.equal(of({ kind: 'held' }), '0– wait wait running: Held');
    assert.equal(of({ kind: 'with_operator' }), '0– wait wait running: With an operator');
    assert.equal(of({ kind: 'refused', reason: 'opted_out' }), '0 turn point failed: Not for an agent');
    assert.equal(of({ kind: 'handled' }), '0 commit point ok: A keyword, handled at once');
    assert.equal(totalOf(pathOf(rows({ fate: { kind: 'waiting' } }))), null);
  });

  it('a text of an operator’s or an agent’s own: nobody asked', () => {
    const spans = drawn({ texts: [], parts: [delivered], exchanges: [send('s', 1_410, 50)] });
    assert.equal(spans[0], '1400–1410 wait wait ok: Waits in line');
    assert.equal(drawn({ texts: [] }).length, 0);
    assert.equal(totalOf([]), null);
  });
});

describe('the path of a part', () => {
  const story = (more: Partial<PathRows>) => ({ texts: [], ...more });

  it('that waits for its time on the sender', () => {
    const paced = part(0, { send_at: at(4_000), accepted_at: at(4_060), state: 'accepted' });
    assert.deepEqual(drawn(story({ parts: [paced], exchanges: [send('s', 4_010, 50)] })), [
      '0–4000 pace wait ok: Paced',
      '4000–4010 wait wait ok: Waits in line',
      '4010–4060 send work ok: Handed to the carrier',
      '4060– carrier wait running: With the carrier',
    ]);
    const still = part(0, { send_at: at(4_000), state: 'queued' });
    assert.deepEqual(drawn(story({ parts: [still] })), ['0– pace wait running: Paced']);
    const next = part(0, { state: 'queued' });
    assert.deepEqual(drawn(story({ parts: [next] })), ['0– wait wait running: Waits in line']);
  });

  it('that the carrier refused for now, once and still', () => {
    const refused = send('s1', 10, 40, { outcome: 'refused', http_status: 429, error_code: '20429' });
    const parts = [part(10, { accepted_at: at(2_100), state: 'sent', sent_at: at(2_300) })];
    const again = story({ parts, exchanges: [refused, send('s2', 2_050, 50)] });
    assert.deepEqual(drawn(again), [
      '10–50 send work failed: Handed to the carrier',
      '50–2050 wait wait ok: Waits for another try',
      '2050–2100 send work ok: Handed to the carrier',
      '2100–2300 carrier wait ok: With the carrier',
      '2300 callback point ok: Sent',
      '2300– carrier wait running: On its way',
    ]);
    assert.ok(notes(again).includes('429 from the carrier, tried again 2.0 s later.'));
    const waiting = drawn(story({ parts: [part(10, { state: 'queued' })], exchanges: [refused] }));
    assert.equal(waiting.at(-1), '50– wait wait running: Waits for another try');
  });

  it('that nobody knew the end of: looked for, found, and sent again', () => {
    const unknown = send('s1', 0, 30_000, { outcome: 'unknown', http_status: null });
    const open = drawn(story({ parts: [part(0, { state: 'unknown' })], exchanges: [unknown] }));
    assert.equal(open.at(-1), '30000– wait wait running: Nobody knows whether it left');
    const found = drawn(
      story({
        parts: [part(0, { accepted_at: at(36_000), sent_at: at(36_000), ended_at: at(37_000) })],
        exchanges: [unknown],
      }),
    );
    assert.deepEqual(found.slice(1), [
      '30000–36000 find wait ok: Nobody knew whether it had left',
      '36000 callback point ok: Sent',
      '36000–37000 carrier wait ok: On its way',
      '37000 callback point ok: Delivered',
    ]);
    const again = drawn(
      story({
        parts: [part(0, { accepted_at: at(100_050), state: 'accepted' })],
        exchanges: [unknown, send('s2', 100_000, 50)],
      }),
    );
    assert.equal(again[1], '30000–100000 wait wait ok: Nobody knew whether it had left');
  });

  it('that leaves at this moment, that failed, and of several', () => {
    const sending = drawn(story({ parts: [part(0, { state: 'sending', sending_at: at(20) })] }));
    assert.equal(sending.at(-1), '20– send work running: Being handed to the carrier');
    const failed = part(0, { state: 'undelivered', accepted_at: at(60), ended_at: at(900), error_code: '30007' });
    const spans = drawn(story({ parts: [failed], exchanges: [send('s', 10, 50)] }));
    assert.equal(spans.at(-1), '900 callback point failed: Not delivered');
    assert.match(notes(story({ parts: [failed], exchanges: [send('s', 10, 50)] })).at(-1)!, /^30007: /);
    const two = drawn(story({ parts: [part(0), { ...part(0), id: 'q', position: 2 }] }));
    assert.ok(two.some((line) => line.endsWith('(1 of 2)')) && two.some((line) => line.endsWith('(2 of 2)')));
  });
});

it('every span has an id of its own and ends after it began', () => {
  const spans = pathOf(
    rows({
      texts: [text(0), text(50), text(60)],
      turns: [turn('x', 100, 50, { state: 'lost' }), turn('t', 40, 30)],
      exchanges: [call('e', 35, 10), send('s', 20, 5)],
      parts: [delivered],
    }),
  );
  assert.equal(new Set(spans.map(({ id }) => id)).size, spans.length);
  for (const span of spans) assert.ok(span.ended_at === null || span.ended_at >= span.started_at, span.id);
});

it('lengths of time are told in the unit that fits', () => {
  assert.deepEqual([0.4, 350, 2_000, 300_000, 7_200_000].map(lasting), ['0 ms', '350 ms', '2.0 s', '5 min', '2 h']);
});
