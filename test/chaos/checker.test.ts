// The checker sees each way to break the promise: a sound history passes, and each doctored one does not.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { check, excerpt, leftAfterStop, RULES, type Rule } from './checker.ts';
import type { Accepted, AgentCall, AgentPost, SentText } from './history.ts';
import { partsSentLate } from './late-requests.ts';
import type { Rows } from './rows.ts';

const ALICE = '+15550200001';
const OURS = '+15550001111';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Table<Name extends keyof Rows> = Mutable<Rows[Name][number]>[];
type Doctored = {
  texts: Mutable<SentText>[];
  calls: Mutable<AgentCall>[];
  posts: AgentPost[];
  accepted: Mutable<Accepted>[];
  rows: { [Name in keyof Rows]: Table<Name> };
};

/** Alice says two things and stops: the first two are answered, the third is cancelled by her STOP, the fourth refused. */
function sound(): Doctored {
  const text = (n: number, kind: SentText['kind'], body: string): Mutable<SentText> => ({
    sid: `SM${n}`,
    from: ALICE,
    to: OURS,
    body,
    kind,
    postedAtMs: n * 100,
    ackedAtMs: n * 100 + 10,
    posts: 1,
  });
  const message = (n: number, more: Partial<Rows['messages'][number]>): Table<'messages'>[number] => ({
    id: `m${n}`,
    conversation_id: 'c1',
    direction: 'in',
    kind: 'text',
    seq: null,
    body: '',
    provider_id: null,
    refused: null,
    ...more,
  });
  const turn = (n: number, state: string, reply: string | null): Table<'turns'>[number] => ({
    id: `m${n}5`,
    conversation_id: 'c1',
    from_seq: n,
    to_seq: n,
    state,
    error_code: null,
    reply_id: reply,
    ended_at: null,
  });
  const part = (n: number, message_id: string, kind: string, body: string): Table<'parts'>[number] => ({
    id: `p${n}`,
    conversation_id: 'c1',
    message_id,
    position: n,
    kind,
    body,
    state: 'delivered',
    provider_id: `OUT${n}`,
    error_code: null,
    sending_at: new Date(n * 100 + 20),
  });
  const call = (n: number, word: string): Mutable<AgentCall> => ({
    agent: 'one',
    atMs: n * 100 + 15,
    messageId: `r${n}`,
    words: [word],
    end: 'answered',
  });
  const taken = (n: number, body: string): Mutable<Accepted> => ({
    sid: `OUT${n}`,
    to: ALICE,
    body,
    partId: `p${n}`,
    atMs: n * 100 + 30,
  });
  return {
    texts: [
      text(1, 'text', '1.1'),
      text(2, 'text', '1.2'),
      text(3, 'text', '1.3'),
      text(4, 'stop', 'Stop.'),
      text(5, 'text', '1.4'),
    ],
    calls: [call(1, '1.1'), call(2, '1.2'), call(3, '1.3')],
    posts: [],
    accepted: [taken(1, 'You said 1.1'), taken(2, 'You said 1.2'), taken(3, 'Goodbye')],
    rows: {
      conversations: [{ id: 'c1', their_address: ALICE, last_seq: 3, done_seq: 3, running_turn: null }],
      messages: [
        message(1, { seq: 1, body: '1.1', provider_id: 'SM1' }),
        message(16, { direction: 'out', kind: 'reply', body: 'You said 1.1' }),
        message(2, { seq: 2, body: '1.2', provider_id: 'SM2' }),
        message(26, { direction: 'out', kind: 'reply', body: 'You said 1.2' }),
        message(3, { seq: 3, body: '1.3', provider_id: 'SM3' }),
        message(4, { kind: 'keyword', body: 'Stop.', provider_id: 'SM4' }),
        message(5, { body: '1.4', provider_id: 'SM5', refused: 'opted_out' }),
      ],
      turns: [turn(1, 'replied', 'm16'), turn(2, 'replied', 'm26'), turn(3, 'cancelled', null)],
      parts: [
        part(1, 'm16', 'reply', 'You said 1.1'),
        part(2, 'm26', 'reply', 'You said 1.2'),
        part(3, 'm4', 'notice', 'Goodbye'),
      ],
      tries: [1, 2, 3].map((n) => ({ part_id: `p${n}`, attempt: 1, started_at: new Date(n * 100 + 25) })),
      jobs: [],
    },
  };
}

const NOTE = 'By the way';
const posted = (end: AgentPost['end'], more: Partial<AgentPost> = {}): AgentPost => ({
  agent: 'one',
  atMs: 260,
  conversationId: 'c1',
  text: NOTE,
  answers: [],
  end,
  ...more,
});
const note = (story: Doctored, id: string) =>
  story.rows.messages.push({ ...story.rows.messages[1]!, id, kind: 'proactive', body: NOTE });

const CASES: readonly (readonly [rule: Rule, what: string, doctor: (story: Doctored) => void])[] = [
  ['lost', 'an acknowledged text is not stored', ({ rows }) => rows.messages.splice(2, 1)],
  ['lost', 'its turn is lost and no other took it', ({ rows }) => Object.assign(rows.turns[1]!, { state: 'lost' })],
  ['lost', 'its turn has no reply', ({ rows }) => Object.assign(rows.turns[1]!, { reply_id: null })],
  ['lost', 'its reply has no parts', ({ rows }) => rows.parts.splice(1, 1)],
  [
    'lost',
    'a part of its reply was given up',
    ({ rows }) => Object.assign(rows.parts[1]!, { state: 'failed', provider_id: null, error_code: 'unknown_outcome' }),
  ],
  [
    'lost',
    'it was answered with the answer to another',
    ({ rows }) => Object.assign(rows.messages[3]!, { body: '1.1' }),
  ],
  ['lost', 'it was refused though nobody stopped', ({ rows }) => Object.assign(rows.messages[2]!, { refused: 'x' })],
  ['lost', 'a text was taken for a keyword', ({ rows }) => Object.assign(rows.messages[2]!, { kind: 'keyword' })],
  [
    'lost',
    'it was skipped without a STOP behind it',
    ({ rows }) => Object.assign(rows.messages[5]!, { provider_id: 'another' }),
  ],
  [
    'lost',
    'an outage nobody was told of',
    ({ rows }) => Object.assign(rows.turns[0]!, { state: 'fell_back', reply_id: null }),
  ],
  ['lost', 'a text of an agent’s own was taken and is not stored', ({ posts }) => posts.push(posted('taken'))],
  [
    'lost',
    'it is stored and no part of it was made',
    (story) => {
      story.posts.push(posted('taken'));
      note(story, 'm27');
    },
  ],
  [
    'doubled',
    'a text of an agent’s own is stored twice',
    (story) => {
      story.posts.push(posted('open'));
      for (const id of ['m27', 'm28']) note(story, id);
    },
  ],
  [
    'doubled',
    'it was refused after a try without an answer, and is stored twice',
    (story) => {
      story.posts.push(posted('unsure'));
      for (const id of ['m27', 'm28']) note(story, id);
    },
  ],
  ['doubled', 'a text is stored twice', ({ rows }) => rows.messages.push({ ...rows.messages[0]!, id: 'm9' })],
  ['doubled', 'two turns answered one text', ({ rows }) => rows.turns.push({ ...rows.turns[0]!, id: 'm99' })],
  [
    'doubled',
    'a part was sent twice',
    ({ accepted }) => accepted.push({ ...accepted[0]!, sid: 'OUT9', body: 'You said it', atMs: 350 }),
  ],
  [
    'doubled',
    'the same words were sent in two parts',
    ({ rows, accepted }) => {
      rows.parts.push({ ...rows.parts[1]!, id: 'p9', provider_id: 'OUT9' });
      accepted.push({ ...accepted[1]!, sid: 'OUT9', partId: 'p9' });
    },
  ],
  [
    'reordered',
    'answers left the wrong way round',
    ({ accepted }) => accepted.splice(0, 2, accepted[1]!, accepted[0]!),
  ],
  [
    'reordered',
    'texts were numbered the wrong way round',
    ({ rows }) => {
      Object.assign(rows.messages[0]!, { seq: 2 });
      Object.assign(rows.messages[2]!, { seq: 1 });
    },
  ],
  [
    'reordered',
    'an agent was shown a burst with a gap',
    ({ calls }) => Object.assign(calls[2]!, { words: ['1.1', '1.3'] }),
  ],
  ['reordered', 'an agent was shown texts before earlier ones', ({ calls }) => calls.unshift(calls.splice(1, 1)[0]!)],
  [
    'after stop',
    'an answer left after the STOP',
    ({ rows, accepted }) => {
      rows.parts.push({ ...rows.parts[1]!, id: 'p4', position: 4, provider_id: 'OUT4', sending_at: new Date(450) });
      accepted.push({ sid: 'OUT4', to: ALICE, body: 'You said 1.3', partId: 'p4', atMs: 460 });
    },
  ],
  [
    'after stop',
    'an answer claimed before the STOP was begun to be sent when no claim holds any more',
    ({ rows, accepted }) => {
      rows.parts.push({ ...rows.parts[1]!, id: 'p4', position: 4, provider_id: 'OUT4', sending_at: new Date(390) });
      rows.tries.push({ part_id: 'p4', attempt: 1, started_at: new Date(8_500) });
      accepted.push({ sid: 'OUT4', to: ALICE, body: 'You said 1.3', partId: 'p4', atMs: 8_510 });
    },
  ],
  ['ledger', 'the carrier has what no part is', ({ accepted }) => Object.assign(accepted[1]!, { partId: 'nobody' })],
  [
    'ledger',
    'a part was booked on another message',
    ({ rows }) => Object.assign(rows.parts[1]!, { provider_id: 'OUT8' }),
  ],
  ['ledger', 'a part counts as sent and is not at the carrier', ({ accepted }) => accepted.splice(1, 1)],
  ['ledger', 'a part is void and at the carrier', ({ rows }) => Object.assign(rows.parts[1]!, { state: 'void' })],
  [
    'ledger',
    'it says something else than was sent',
    ({ accepted }) => Object.assign(accepted[1]!, { body: 'You sad 1.2' }),
  ],
  ['ledger', 'it went to somebody else', ({ accepted }) => Object.assign(accepted[1]!, { to: '+15550200002' })],
  [
    'ledger',
    'it was refused and is stored',
    (story) => {
      story.posts.push(posted('refused'));
      note(story, 'm27');
    },
  ],
  ['unfinished', 'texts wait', ({ rows }) => Object.assign(rows.conversations[0]!, { last_seq: 4 })],
  ['unfinished', 'a turn runs', ({ rows }) => Object.assign(rows.turns[2]!, { state: 'running' })],
  ['unfinished', 'an agent said 202', ({ rows }) => Object.assign(rows.turns[2]!, { state: 'deferred' })],
  ['unfinished', 'a part is unknown', ({ rows }) => Object.assign(rows.parts[1]!, { state: 'unknown' })],
  ['unfinished', 'a job is left', ({ rows }) => rows.jobs.push({ task: 'settle', key: 'settle:p1', state: 'due' })],
];

describe('the checker', () => {
  it('finds nothing in a sound history', () => {
    const { rows, ...history } = sound();
    assert.deepEqual(check(history, rows), []);
  });

  for (const [rule, what, doctor] of CASES) {
    it(`${rule}: ${what}`, () => {
      const story = sound();
      doctor(story);
      const { rows, ...history } = story;
      const found = check(history, rows);
      assert.ok(
        found.some((violation) => violation.rule === rule),
        `found only ${JSON.stringify(found)}`,
      );
    });
  }

  it('has a doctored history for each rule', () => {
    assert.deepEqual([...new Set(CASES.map(([rule]) => rule))], RULES);
  });

  it('does not count what is allowed: a text never acknowledged, one call made twice, a part on the wire at the STOP', () => {
    const story = sound();
    story.texts.push({ ...story.texts[4]!, sid: 'SM6', body: '1.5', ackedAtMs: null });
    story.calls.push({ ...story.calls[2]!, atMs: 330 });
    story.rows.turns[2] = { ...story.rows.turns[2]!, state: 'replied', reply_id: 'm36' };
    story.rows.messages.push({ ...story.rows.messages[3]!, id: 'm36', body: 'You said 1.3' });
    story.rows.parts.push({ ...story.rows.parts[1]!, id: 'p0', message_id: 'm36', provider_id: 'OUT0', position: 4 });
    Object.assign(story.rows.parts.at(-1)!, { sending_at: new Date(399), body: 'You said 1.3' });
    story.accepted.push({ sid: 'OUT0', to: ALICE, body: 'You said 1.3', partId: 'p0', atMs: 411 });
    const { rows, ...history } = story;
    assert.deepEqual(check(history, rows), []);
    assert.deepEqual(leftAfterStop(history, rows), 1);
  });

  it('does not count a post that was refused after a try without an answer: that try may arrive later', () => {
    const story = sound();
    story.posts.push(posted('unsure'));
    note(story, 'm27');
    const { rows, ...history } = story;
    assert.deepEqual(check(history, rows), []);
  });

  it('does not count a request that reaches its agent after the turn was given up', () => {
    const story = sound();
    Object.assign(story.rows.turns[0]!, { state: 'fell_back' });
    Object.assign(story.rows.messages[1]!, { kind: 'fallback' });
    Object.assign(story.rows.parts[0]!, { kind: 'fallback' });
    story.calls.push(story.calls.shift()!);
    const { rows, ...history } = story;
    assert.deepEqual(check(history, rows), []);
  });

  it('does not count a late answer that leaves behind the next one, nor a text of an agent’s own', () => {
    const story = sound();
    story.posts.push(posted('taken', { text: 'You said 1.1', answers: ['1.1'] }), posted('taken'));
    Object.assign(story.rows.parts[0]!, { position: 2 });
    Object.assign(story.rows.parts[1]!, { position: 1 });
    story.accepted.unshift(story.accepted.splice(1, 1)[0]!);
    note(story, 'm27');
    Object.assign(story.rows.parts[2]!, { message_id: 'm27' });
    const { rows, ...history } = story;
    assert.deepEqual(check(history, rows), []);
    const { rows: sameRows, ...inTime } = { ...story, posts: story.posts.slice(1) };
    assert.deepEqual(
      check(inTime, sameRows).map(({ rule }) => rule),
      ['reordered'],
    );
  });

  it('does not count a text that its agent put off when a STOP comes before the answer; without one it is lost', () => {
    const story = sound();
    Object.assign(story.rows.turns[0]!, { state: 'cancelled', reply_id: null });
    story.rows.messages.splice(1, 1);
    story.rows.parts.splice(0, 1);
    story.rows.tries.splice(0, 1);
    story.accepted.splice(0, 1);
    const { rows, ...history } = story;
    assert.deepEqual(
      check(history, rows).map(({ rule }) => rule),
      ['lost'],
    );
    story.posts.push(posted('refused', { text: 'You said 1.1', answers: ['1.1'] }));
    assert.deepEqual(check(history, rows), []);
  });

  it('counts a part that was sent again because its first request was on the way for more than a minute', () => {
    const takenAt = (atMs: number) => {
      const story = sound();
      const [first] = story.accepted;
      Object.assign(first!, { atMs });
      story.accepted.push({ ...first!, sid: 'OUT9', atMs: atMs + 5 });
      const { rows, ...history } = story;
      return { late: partsSentLate(history, rows).size, rules: check(history, rows).map(({ rule }) => rule) };
    };
    assert.deepEqual(takenAt(60_200), { late: 1, rules: [] });
    const soon = takenAt(60_100);
    assert.equal(soon.late, 0);
    assert.ok(soon.rules.includes('doubled'));
  });

  it('shows of a violation what that person said, was answered and what was stored of it', () => {
    const { rows, ...history } = sound();
    const shown = excerpt(ALICE, history, rows).join('\n');
    for (const word of ['1.1', 'Stop.', 'OUT2', 'm35', 'p3']) assert.ok(shown.includes(word), word);
  });
});
