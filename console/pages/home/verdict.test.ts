import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Overview } from '../../../src/http/contract.ts';
import { judge } from './verdict.ts';

const AGENT: Overview['agents'][number] = {
  id: '0192d3a0-0000-7000-8000-000000000001',
  name: 'concierge',
  type: 'chat',
  protocol: 'envelope',
  status: 'active',
  health_score: 100,
  response_ms: 300,
  active_sessions: 1,
  max_concurrent_sessions: 10,
  consecutive_failures: 0,
  success_rate: 1,
  p50_ms: null,
  p95_ms: null,
  p99_ms: null,
  circuit: 'closed',
  calls_in_progress: 0,
  last_success_at: null,
  last_failure_at: null,
  endpoint_url: 'https://agent.example/',
  capabilities: [],
  version: null,
  account_id: null,
  draining: null,
  disabled: null,
  last_heartbeat_at: null,
  load: null,
  registered_at: '2026-11-01T10:00:00.000Z',
};
const OFF = { at: '2026-11-25T09:00:00.000Z', by: 'operator', reason: 'a holiday' };
const named = (name: string, status: typeof AGENT.status = 'active') => ({ ...AGENT, name, status });

const NONE = { texts: 0, conversations: 0, oldest_ms: null };

function overview(more: Partial<Overview> = {}): Overview {
  return {
    at: '2026-11-25T10:00:00.000Z',
    window: '1h',
    texts_in: 40,
    texts_out: 38,
    turns: { replied: 38, fell_back: 0, other: 1 },
    answered_share: 1,
    time_to_answer_ms: { p50: 1_240, p95: 3_000, p99: 4_000 },
    parts: { delivered: 38, failed: 0, under_way: 0, unknown: 0 },
    waiting: { texts: 0, conversations: 0, oldest_ms: null, deferred: 0, with_operator: NONE },
    series: { step_ms: 60_000, points: [] },
    agents: [AGENT],
    ...more,
  };
}
const waits = (oldest_ms: number) =>
  overview({ waiting: { texts: 3, conversations: 2, oldest_ms, deferred: 0, with_operator: NONE } });
const byHand = (oldest_ms: number) =>
  overview({ waiting: { ...NONE, deferred: 0, with_operator: { texts: 1, conversations: 1, oldest_ms } } });
const turns = (replied: number, fell_back: number) => overview({ turns: { replied, fell_back, other: 0 } });
const parts = (delivered: number, failed: number, under_way = 0) =>
  overview({ parts: { delivered, failed, under_way, unknown: 0 } });

const CASES: readonly (readonly [Overview, 'good' | 'warn' | 'bad', string, RegExp])[] = [
  [overview(), 'good', 'All is well', /^40 texts came in the last hour; half of the answers took less than 1\.2 s\.$/],
  [overview({ window: '24h', texts_in: 1 }), 'good', 'All is well', /^1 text came in the last 24 hours;/],
  [overview({ texts_in: 0 }), 'good', 'All is quiet', /^No text came in the last hour\. 1 agent is ready/],
  [
    overview({ texts_in: 2, turns: { replied: 0, fell_back: 0, other: 0 }, time_to_answer_ms: null }),
    'good',
    'All is well',
    /^2 texts came in the last hour\.$/,
  ],
  // A burst and a turn take their time.
  [waits(60_000), 'good', 'All is well', /./],
  [waits(90_000), 'warn', 'Some texts wait long', /^3 texts wait in 2 conversations, the oldest for 1 min 30 s\.$/],
  // Somebody who types takes their time too, and nobody else answers.
  [byHand(120_000), 'good', 'All is well', /./],
  [
    byHand(240_000),
    'warn',
    'A text waits for an operator',
    /^1 text waits in one conversation taken over by hand, the oldest for 4 min; no agent answers there\.$/,
  ],
  [byHand(700_000), 'bad', 'A text waits for an operator', /./],
  [waits(600_000), 'bad', 'Texts are not being answered', /the oldest for 10 min/],
  [
    turns(500, 1),
    'warn',
    'Not every text found an answer',
    /^1 turn of 501 ended without an answer; people who text are told that nobody can answer, once an hour at most\.$/,
  ],
  // One of two is half of them, and still one.
  [turns(1, 1), 'warn', 'Not every text found an answer', /./],
  [turns(20, 4), 'bad', 'Many texts find no answer', /^4 turns of 24 ended/],
  [parts(1_000, 9), 'good', 'All is well', /./],
  [parts(1_000, 30), 'warn', 'Not every answer arrived', /^30 of 1,030 parts of what went out were not delivered\.$/],
  [parts(2, 1), 'warn', 'Not every answer arrived', /^1 of 3 parts of what went out was not/],
  [parts(20, 5), 'bad', 'Many answers do not arrive', /./],
  // A failure is known at once, an arrival only later.
  [parts(0, 3, 997), 'good', 'All is well', /./],
  [parts(0, 30, 970), 'warn', 'Not every answer arrived', /30 of 1,000 parts/],
  [overview({ agents: [] }), 'bad', 'Nobody is there to answer', /No agent is registered/],
  [overview({ agents: [named('a', 'disabled')] }), 'bad', 'No agent can answer', /^a is down/],
  [overview({ agents: [named('a'), named('b', 'disabled')] }), 'warn', 'An agent is down', /^b does not answer/],
  [
    overview({ agents: [named('a'), ...['b', 'c', 'd', 'e'].map((name) => named(name, 'disabled'))] }),
    'warn',
    '4 agents are down',
    /^b, c and 2 others do not answer/,
  ],
  // Those of another type do not take over.
  [
    overview({ agents: [named('a'), { ...named('b', 'disabled'), type: 'sales' }] }),
    'warn',
    'An agent is down',
    /^b does not answer\.$/,
  ],
  [overview({ agents: [named('a', 'degraded')] }), 'good', 'All is well', /./],
  // An operator has switched it off.
  [overview({ agents: [named('a'), { ...named('b', 'disabled'), disabled: OFF }] }), 'good', 'All is well', /./],
  [
    overview({ agents: [{ ...named('b', 'disabled'), disabled: OFF }] }),
    'bad',
    'No agent can answer',
    /^b is switched off: /,
  ],
  [
    overview({
      agents: [{ ...named('b', 'disabled'), disabled: OFF }, named('a', 'disabled'), named('c', 'disabled')],
    }),
    'bad',
    'No agent can answer',
    /^a and c are down, b is switched off: /,
  ],
];

for (const [given, tone, headline, reason] of CASES) {
  test(`${headline}: ${reason.source}`, () => {
    const verdict = judge(given);
    assert.deepEqual([verdict.tone, verdict.headline], [tone, headline]);
    assert.match(verdict.reason, reason);
    assert.equal(verdict.findings.length, tone === 'good' ? 0 : 1);
  });
}

const OURS = { address: '+15550001111', is_active: true, agent_type: 'chat' };
const sales = (address: string) => ({ ...OURS, address, agent_type: 'sales' });
const SOLD = { ...named('sold', 'disabled'), type: 'sales' };
const NUMBERS: readonly (readonly [Overview['agents'], (typeof OURS)[], string | null, RegExp])[] = [
  [[AGENT], [OURS], null, /./],
  [
    [AGENT],
    [OURS, sales('+353861234567')],
    'Nobody answers +353 861 234 567',
    /^It asks agents of type sales, and none is registered: people who text are told/,
  ],
  [[AGENT, SOLD], [OURS, sales('+1')], 'Nobody answers +1', /^It asks agents of type sales, and none is up:/],
  [[AGENT], [sales('+1'), sales('+2')], 'Nobody answers 2 of our numbers', /^They ask agents of type sales,/],
  [[AGENT], [{ ...sales('+1'), is_active: false }], null, /./],
];
for (const [agents, numbers, headline, reason] of NUMBERS) {
  test(`${numbers.length} numbers: ${headline ?? 'all are answered'}`, () => {
    const verdict = judge(overview({ agents }), numbers);
    assert.equal(verdict.headline, headline ?? 'All is well');
    assert.match(verdict.reason, reason);
    assert.equal(verdict.tone, headline === null ? 'good' : 'bad');
  });
}

test('the worst comes first, and nothing is left out', () => {
  const { tone, headline, findings } = judge({
    ...parts(20, 5),
    agents: [named('a'), named('b', 'disabled')],
    waiting: { texts: 1, conversations: 1, oldest_ms: 100_000, deferred: 0, with_operator: NONE },
    turns: { replied: 100, fell_back: 1, other: 0 },
  });
  assert.equal(tone, 'bad');
  assert.equal(headline, 'Many answers do not arrive');
  assert.deepEqual(
    findings.map(({ about }) => about),
    ['failed', 'agents', 'waiting', 'fell_back'],
  );
});
