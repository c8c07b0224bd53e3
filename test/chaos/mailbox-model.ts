// A conversation as it should be, in a few numbers: what waits, who may end the running turn, and what the carrier has. The
// commands in interleavings.ts do the same things to it and to the database, and compare.
import assert from 'node:assert/strict';
import { closeDeferred, postMessage } from '../../src/bridge/posts.ts';
import {
  type ClaimedPart,
  giveBack,
  type SendRecord,
  startTurns,
  type Turn,
  type TurnEnd,
} from '../../src/bridge/store.ts';
import { DarkspereError, messageOf } from '../../src/errors.ts';
import { endTakeover, handBack, sendAsOperator, takeOver } from '../../src/inbox/takeover.ts';
import { type Bridge, bridgeOf, type PartRow, reply, sendRecord, somebody } from '../support/bridge.ts';
import type { TestDatabase } from '../support/database.ts';
import { newSid } from '../support/signed-webhook.ts';

/** A part in the hands of a worker. `took` is the carrier's id once it has accepted, null when it refused. */
export type Claim = { readonly part: ClaimedPart; took: string | null | undefined };

export type Conversation = {
  readonly phone: string;
  id: string | null;
  /** Texts by number, from 1: what became of them. */
  readonly fates: ('waiting' | 'answered' | 'cancelled')[];
  readonly sids: string[];
  done: number;
  epoch: number;
  optedOut: boolean;
  /** The operator who has taken it over. */
  takenBy: string | null;
  /** Keys of operators' messages so far, and the messages they became. */
  keys: number;
  readonly said: Map<string, string>;
  /** Parts up to this position were made before the newest STOP: nobody may take them any more. */
  recalledUpTo: number;
  running: string | null;
  /** Turns that workers hold, presumed dead ones too. */
  readonly held: Turn[];
  /** The session that goes on, and whether the agent has answered in it: then it may post texts of its own. */
  session: string | null;
  isAgentIn: boolean;
  /** Turns that the agent answered with 202, by turn; those that still wait for its post are open. */
  readonly deferred: Map<string, { readonly requestId: string; isOpen: boolean }>;
  /** Tokens whose job has ended because nothing was left to do. */
  readonly endedTokens: Set<number>;
  readonly claims: Claim[];
  /** Parts whose turn's worker, or whose job, may claim them at any moment. */
  readonly claimable: Set<string>;
  /** Part → the carrier's message. */
  readonly carrier: Map<string, string>;
  /** Positions of replies in the order in which the carrier took them. */
  readonly left: number[];
  /** The same of what its agent said by itself. */
  readonly leftOwn: number[];
};

export type Model = { readonly conversations: readonly Conversation[] };
/** `agent`: who answers every turn. */
export type Real = { readonly db: TestDatabase; readonly bridge: Bridge; readonly agent: string };

export const newModel = (): Model => ({ conversations: [newConversation(), newConversation()] });

export async function realOf(db: TestDatabase): Promise<Real> {
  const [row] = await db.admin<{ id: string }[]>`
    insert into agent_registry (name, endpoint_url, api_key_hash, secrets)
    values ('modelled', 'http://127.0.0.1:9/', uuid_send(new_id()), '') returning id`;
  return { db, bridge: bridgeOf(db), agent: row!.id };
}

function newConversation(): Conversation {
  return {
    phone: somebody(),
    id: null,
    fates: [],
    sids: [],
    done: 0,
    epoch: 0,
    optedOut: false,
    takenBy: null,
    keys: 0,
    said: new Map(),
    recalledUpTo: 0,
    running: null,
    held: [],
    session: null,
    isAgentIn: false,
    deferred: new Map(),
    endedTokens: new Set(),
    claims: [],
    claimable: new Set(),
    carrier: new Map(),
    left: [],
    leftOwn: [],
  };
}

/** The n-th of a list counted from its end, around and around. */
const newest = <T>(list: readonly T[], n: number): T | undefined => list.at(-1 - (n % list.length));

type Row = {
  token: number;
  epoch: number;
  last_seq: number;
  done_seq: number;
  running_turn: string | null;
  takeover_by: string | null;
  session_id: string | null;
};

async function rowOf({ db }: Real, { id }: Conversation): Promise<Row> {
  const [row] = await db.admin<Row[]>`
    select token, epoch, last_seq, done_seq, running_turn, takeover_by, session_id from conversations where id = ${id}`;
  return row!;
}

/** The database agrees on what waits and who may write; what waits has a job; what left, left once and in order. */
export async function agree(conversation: Conversation, real: Real): Promise<void> {
  const { id, fates, done, epoch, running, takenBy, endedTokens, carrier } = conversation;
  if (id === null) return;
  const row = await rowOf(real, conversation);
  assert.deepEqual(
    { last: row.last_seq, done: row.done_seq, epoch: row.epoch, running: row.running_turn },
    { last: fates.length, done, epoch, running },
  );
  assert.equal(row.takeover_by, takenBy);
  const jobs = await real.db.admin`
    select 1 from graphile_worker._private_jobs
    where payload ->> 'c' = ${id} and (payload ->> 't')::int = ${row.token}`;
  if (takenBy !== null) {
    assert.equal(jobs.length, 0, 'an agent could be woken while an operator answers');
    const ends = await real.db.admin`select 1 from graphile_worker._private_jobs where key = ${`takeover:${id}`}`;
    assert.equal(ends.length, 1, 'a takeover has no end');
  } else if (row.last_seq > row.done_seq) {
    assert.ok(!endedTokens.has(row.token), 'texts wait under a token whose job has ended');
    assert.equal(jobs.length, 1, 'texts wait without a job, or with two');
  }
  const parts = await real.bridge.parts(id);
  assert.deepEqual(
    parts.map((part) => Number(part.position)),
    parts.map((_, n) => n + 1),
  );
  for (const part of parts) {
    const took = carrier.get(part.id) ?? null;
    if (part.provider_id !== null)
      assert.equal(part.provider_id, took, 'a part has the id of a message that is not its');
    if (['queued', 'void'].includes(part.state))
      assert.equal(took, null, `the carrier has a part that is ${part.state}`);
    if (['accepted', 'sent', 'delivered', 'undelivered'].includes(part.state))
      assert.ok(took !== null, `a part is ${part.state} that the carrier never took`);
  }
  await allHaveAWayOn(conversation, real, parts);
}

/** Whatever is not at its end has a job, or somebody who holds it. */
async function allHaveAWayOn({ id, claims, claimable }: Conversation, { db }: Real, parts: PartRow[]): Promise<void> {
  const [row] = await db.admin<{ head: number; keys: string[] }[]>`
    select c.out_head as head, array(
      select j.key from graphile_worker._private_jobs j
      join outbound_parts p on p.conversation_id = c.id and j.key in ('send:' || p.id, 'settle:' || p.id)) as keys
    from conversations c where c.id = ${id}`;
  const { head, keys } = row!;
  for (const part of parts) {
    const isHeld = claimable.has(part.id) || claims.some((each) => each.part.part_id === part.id);
    if (part.state === 'unknown') assert.ok(keys.includes(`settle:${part.id}`), 'nobody looks for an unknown part');
    if (part.state === 'sending' || (part.state === 'queued' && Number(part.position) < head))
      assert.ok(isHeld || keys.includes(`send:${part.id}`), `nobody sends a part that is ${part.state}`);
  }
  const next = parts.find((part) => Number(part.position) === head);
  if (next?.state !== 'queued') return;
  // Bulk in line holds up nothing but bulk.
  const holdsUp = ({ kind, state }: PartRow) =>
    ['sending', 'unknown'].includes(state) ||
    (state === 'queued' && (kind !== 'proactive' || next.kind === 'proactive'));
  assert.ok(
    parts.some((part) => Number(part.position) < head && holdsUp(part)),
    'a part waits for nothing',
  );
}

// What a gateway, a worker and a carrier do, each with what must come of it.

export async function arrive(one: Conversation, { bridge }: Real): Promise<void> {
  const sid = newSid();
  const taken = await bridge.arrive(one.phone, `text ${one.fates.length + 1}`, { providerId: sid });
  assert.ok(taken, 'a new text counts as a repeat');
  one.id = taken.conversationId;
  one.sids.push(sid);
  assert.equal(taken.refused, one.optedOut ? 'opted_out' : null);
  if (!one.optedOut) one.fates.push('waiting');
}

export async function arriveAgain(one: Conversation, { bridge }: Real, n: number): Promise<void> {
  const sid = one.sids[n % one.sids.length]!;
  assert.equal(await bridge.arrive(one.phone, 'again', { providerId: sid }), null);
}

const WORDS = { stop: 'STOP', start: 'START', help: 'HELP', reset: 'RESET' } as const;
export type Word = keyof typeof WORDS;

export async function keyword(one: Conversation, { db, bridge }: Real, word: Word): Promise<void> {
  assert.ok(await bridge.keyword(one.phone, WORDS[word]));
  if (one.id === null) {
    const [row] = await db.admin<{ id: string }[]>`select id from conversations where their_address = ${one.phone}`;
    one.id = row!.id;
  }
  if (word === 'start') one.optedOut = false;
  if (word === 'stop' || word === 'reset') one.session = null;
  if (word !== 'stop') return;
  for (const deferred of one.deferred.values()) deferred.isOpen = false;
  one.optedOut = true;
  for (let n = one.done; n < one.fates.length; n++) one.fates[n] = 'cancelled';
  one.done = one.fates.length;
  one.epoch += 1;
  one.running = null;
  const parts = await bridge.parts(one.id!);
  one.recalledUpTo = Number(parts.findLast((part) => part.kind !== 'notice')?.position ?? 0);
  const waiting = parts.filter((part) => part.state === 'queued' && part.kind !== 'notice');
  assert.deepEqual(waiting, [], 'an answer waits for a START that comes after the STOP');
}

/** A job with this token (`behind` = how many tokens ago it was made) starts a turn. */
export async function start(one: Conversation, real: Real, behind = 0): Promise<void> {
  const { token } = await rowOf(real, one);
  const startIt = async () => {
    const job = { conversationId: one.id!, token: token - behind };
    const [begun] = await startTurns(real.db.pools.worker, [job], { quietMs: 0, maxTexts: 50 });
    return begun;
  };
  let started = await startIt();
  if (started?.kind === 'wait') {
    // Nine answers in half a minute look like a machine: it is held for a while, which passes here at once.
    assert.ok(started.nowHeld, 'a conversation waits although its burst is over');
    await real.db.admin`
      update conversations set answered_at = '{}', held_until = null, holds = 0 where id = ${one.id}`;
    started = await startIt();
  }
  const waits = one.fates.length > one.done;
  if (behind > 0 || !waits || one.takenBy !== null) {
    assert.equal(started, null, 'a turn was started by a stale job, without a text, or while an operator answers');
    if (behind === 0) one.endedTokens.add(token);
    return;
  }
  if (one.running !== null) {
    // Its texts have a job of their own now, which is not shared with whoever runs the turn.
    assert.equal(started, null, 'a turn was started over one that runs');
    one.endedTokens.add(token);
    one.epoch += 1;
    one.running = null;
    return;
  }
  assert.equal(started?.kind, 'turn');
  const { turn } = started as { turn: Turn };
  one.epoch += 1;
  assert.equal(turn.epoch, one.epoch);
  assert.deepEqual(
    turn.texts.map((text) => text.body),
    one.fates.slice(one.done).map((_, n) => `text ${one.done + n + 1}`),
  );
  one.running = turn.turnId;
  one.held.push(turn);
  if (turn.sessionId === one.session) return;
  one.session = turn.sessionId;
  one.isAgentIn = false;
}

/** Somebody who holds a turn ends it. Stays held, so that it may be ended once more. */
export async function finish(
  one: Conversation,
  real: Real,
  n: number,
  parts: number,
  how: 'reply' | 'fallback' | 'later' = 'reply',
): Promise<void> {
  const turn = newest(one.held, n)!;
  const isCurrent = turn.epoch === one.epoch;
  const isFirst = isCurrent && one.running === turn.turnId;
  const bodies = Array.from({ length: how === 'fallback' ? 1 : parts }, (_, k) => `${turn.turnId} ${k}`);
  const end: TurnEnd = { ...reply(turn, bodies), agent_id: real.agent };
  const inTenMinutes = new Date(Date.now() + 600_000);
  const { token } = await rowOf(real, one);
  const [ended] = await real.bridge.finish([
    how === 'fallback'
      ? { ...end, state: 'fell_back', kind: 'fallback' }
      : how === 'later'
        ? { ...end, state: 'deferred', kind: null, body: null, parts: [], deferred_until: inTenMinutes }
        : end,
  ]);
  assert.equal(
    ended !== null,
    isCurrent,
    isCurrent ? 'the end of the current turn was refused' : 'a late end was taken',
  );
  if (!ended || !isFirst) return;
  one.running = null;
  if (how === 'later') one.deferred.set(turn.turnId, { requestId: turn.requestId, isOpen: true });
  if (turn.sessionId === one.session) one.isAgentIn = true;
  for (let k = 0; k < turn.texts.length; k++) one.fates[one.done + k] = 'answered';
  one.done += turn.texts.length;
  assert.equal(ended.pending, one.fates.length > one.done);
  if (!ended.pending) one.endedTokens.add(token);
  if (ended.sendNow !== null) one.claimable.add(ended.sendNow);
}

export async function giveBackTo(one: Conversation, real: Real, behind: number): Promise<void> {
  const { token } = await rowOf(real, one);
  const given = await giveBack(real.db.pools.worker, { conversationId: one.id!, token: token - behind }, 0);
  assert.equal(given, behind === 0 && one.fates.length > one.done && one.takenBy === null);
  if (!given) return;
  assert.equal((await rowOf(real, one)).token, token + 1, 'the job that was given back could go on');
  one.epoch += 1;
  one.running = null;
}

// What operators do. Two of them, who do not ask each other.

const OPERATOR = { optOutScope: null, pacing: false, takeoverMinutes: 30 };
const code = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error: { code?: string }) => error.code,
  );

export async function takeOverBy(one: Conversation, { db }: Real, by: string): Promise<void> {
  const result = await code(takeOver(db.pools.web, { conversationId: one.id!, by }, OPERATOR));
  if (one.takenBy !== null) {
    assert.equal(result, one.takenBy === by ? 'ok' : 'conversation_taken');
    return;
  }
  assert.equal(result, 'ok');
  one.takenBy = by;
  one.epoch += 1;
  one.running = null;
}

/** An operator writes; `again`: the key of the message before. */
export async function operatorSays(one: Conversation, real: Real, by: string, again: boolean): Promise<void> {
  const isRepeat = again && one.keys > 0;
  if (!isRepeat) one.keys += 1;
  const act = { conversationId: one.id!, by, text: `${by} ${one.keys}`, idempotencyKey: `${by} ${one.keys}` };
  const said = await sendAsOperator(real.db.pools.web, act, OPERATOR).catch((error: { code?: string }) => error.code);
  const key = `${one.keys} ${by}`;
  if (one.said.has(key)) {
    assert.deepEqual(said, { messageId: one.said.get(key), isNew: false }, 'a double click is two messages');
    return;
  }
  const refused =
    one.takenBy === null
      ? 'not_taken_over'
      : one.takenBy !== by
        ? 'conversation_taken'
        : one.optedOut
          ? 'opted_out'
          : null;
  if (refused !== null) {
    assert.equal(said, refused);
    return;
  }
  assert.ok(typeof said === 'object' && said.isNew);
  one.said.set(key, said.messageId);
  // It answers what an agent had put off too, and opens a session where a turn would have.
  for (const deferred of one.deferred.values()) deferred.isOpen = false;
  const { session_id: session } = await rowOf(real, one);
  if (session !== one.session) one.isAgentIn = false;
  one.session = session;
  for (let n = one.done; n < one.fates.length; n++) one.fates[n] = 'answered';
  one.done = one.fates.length;
}

/** Handed back, or the operator's time is over: what waits has a job at once. */
export async function release(one: Conversation, { db }: Real, by: string, isForgotten: boolean): Promise<void> {
  if (isForgotten) {
    const early = await endTakeover(db.pools.worker, one.id!);
    assert.equal(early, false, 'a takeover ended before its time');
    await db.admin`
      update conversations set takeover_until = clock_timestamp() where id = ${one.id} and takeover_by is not null`;
    assert.equal(await endTakeover(db.pools.worker, one.id!), one.takenBy !== null);
    await db.admin`delete from graphile_worker._private_jobs where key = ${`takeover:${one.id}`}`;
  } else {
    const result = await code(handBack(db.pools.web, { conversationId: one.id!, by }));
    assert.equal(result, one.takenBy === null ? 'not_taken_over' : one.takenBy === by ? 'ok' : 'conversation_taken');
    if (result !== 'ok') return;
  }
  one.takenBy = null;
}

/** What a post of the agent gives: its verdict. A second one under its key is told the same and changes nothing. */
async function post(one: Conversation, { db, agent }: Real, inReplyTo: string | null): Promise<string> {
  const about = {
    agentId: agent,
    conversationId: one.id!,
    inReplyTo,
    text: `a post ${newSid()}`,
    mediaUrls: [],
    idempotencyKey: newSid(),
  };
  const policy = { optOutScope: null, pacing: false, maxSegments: 10 };
  try {
    const { messageId } = await postMessage(db.pools.web, about, policy);
    assert.deepEqual(await postMessage(db.pools.web, about, policy), { messageId, isNew: false });
    return 'taken';
  } catch (error) {
    return error instanceof DarkspereError ? error.code : messageOf(error);
  }
}

/** The agent posts what it owes since its 202, or what it has posted already, or what a STOP has ended. */
export async function postLate(one: Conversation, real: Real, n: number): Promise<void> {
  const deferred = newest([...one.deferred.values()], n);
  if (!deferred) return;
  const verdict = await post(one, real, deferred.requestId);
  const refused = one.optedOut ? 'opted_out' : one.takenBy !== null ? 'conversation_taken' : null;
  assert.equal(verdict, refused ?? (deferred.isOpen ? 'taken' : 'turn_closed'));
  if (refused === null) deferred.isOpen = false;
}

export async function postOwn(one: Conversation, real: Real): Promise<void> {
  const verdict = await post(one, real, null);
  const refused = one.optedOut ? 'opted_out' : one.takenBy !== null ? 'conversation_taken' : null;
  if (one.session !== null && one.isAgentIn) assert.equal(verdict, refused ?? 'taken');
  // Whose session a STOP has ended is told so; nobody else hears whether there is such a conversation.
  else assert.ok(verdict === 'not_found' || verdict === refused, verdict);
}

/** Ten minutes are over: whoever still waits for a post hears that nobody could answer, unless an operator may answer. */
export async function tenMinutesPass(one: Conversation, { db }: Real): Promise<void> {
  for (const [turn, deferred] of one.deferred) {
    const isOver = deferred.isOpen && one.takenBy === null;
    assert.equal(await closeDeferred(db.pools.worker, turn, false), isOver);
    if (isOver) deferred.isOpen = false;
  }
}

/** Parts that some job, or the worker that made them, may take now. */
async function claimableOf(one: Conversation, { db }: Real): Promise<string[]> {
  const due = await db.admin<{ part: string }[]>`
    select p.id as part from graphile_worker.jobs j join outbound_parts p on j.key = 'send:' || p.id
    where p.conversation_id = ${one.id} and j.run_at <= clock_timestamp() order by p.position`;
  return [...new Set([...due.map((row) => row.part), ...one.claimable])];
}

/** Takes one of them, if there is any; false when there was none. */
export async function claim(one: Conversation, real: Real, n: number): Promise<boolean> {
  const ids = await claimableOf(one, real);
  const id = newest(ids, n);
  if (id === undefined) return false;
  one.claimable.delete(id);
  await real.db.admin`delete from graphile_worker._private_jobs where key = ${`send:${id}`}`;
  const before = await real.bridge.parts(one.id!);
  const [part] = await real.bridge.claim([id]);
  if (!part) return true;
  const { kind, position } = before.find((row) => row.id === id)!;
  if (kind !== 'notice') {
    assert.ok(!one.optedOut, 'a part was claimed after a STOP');
    assert.ok(Number(position) > one.recalledUpTo, 'a part from before a STOP was claimed after the START');
  }
  one.claims.push({ part, took: undefined });
  return true;
}

/** A claimed part reaches the carrier, which takes it or not. */
export async function dispatch(one: Conversation, real: Real, n: number, taken: boolean): Promise<void> {
  const waiting = one.claims.filter((each) => each.took === undefined);
  const claimed = newest(waiting, n);
  if (!claimed) return;
  claimed.took = taken ? newSid() : null;
  if (claimed.took === null) return;
  const { part_id: id } = claimed.part;
  assert.ok(!one.carrier.has(id), 'a part was sent twice');
  one.carrier.set(id, claimed.took);
  const { position, kind } = (await real.bridge.parts(one.id!)).find((row) => row.id === id)!;
  if (kind === 'notice') return;
  // Answers and what agents say by themselves pass each other.
  const left = kind === 'proactive' ? one.leftOwn : one.left;
  assert.ok(Number(position) > (left.at(-1) ?? 0), `part ${position} left after ${left}`);
  left.push(Number(position));
}

/** The worker writes down what it heard, or that it heard nothing. */
export async function record(one: Conversation, { bridge }: Real, n: number, heard: boolean): Promise<void> {
  const known = one.claims.filter((each) => each.took !== undefined);
  const claimed = newest(known, n);
  if (!claimed) return;
  one.claims.splice(one.claims.indexOf(claimed), 1);
  const news: Partial<SendRecord> & Pick<SendRecord, 'state'> = !heard
    ? { state: 'unknown', run_at_ms: 0 }
    : claimed.took
      ? { state: 'accepted', provider_id: claimed.took }
      : { state: 'queued', error_code: '20429', run_at_ms: 0 };
  const now = async () => (await bridge.parts(one.id!)).find((part) => part.id === claimed.part.part_id)!;
  const before = await now();
  await bridge.record([sendRecord(claimed.part, news)]);
  if (before.attempts > claimed.part.attempts && news.state !== 'accepted')
    assert.equal((await now()).state, before.state, 'news of an older try changed a part');
}

/** A worker dies over a part, before or after the request left; the job of the part runs again elsewhere. */
export async function die(one: Conversation, n: number): Promise<void> {
  const claimed = newest(one.claims, n)!;
  one.claims.splice(one.claims.indexOf(claimed), 1);
  one.claimable.add(claimed.part.part_id);
}

/** A worker is presumed dead over a part: its job runs again elsewhere, and what it does may still be heard of. */
export async function presumeDead(one: Conversation, n: number): Promise<void> {
  one.claimable.add(newest(one.claims, n)!.part.part_id);
}

/** An unknown part is looked up. That the carrier surely does not have it can be said once no request is on its way. */
export async function settle(one: Conversation, { db, bridge }: Real): Promise<void> {
  const unknown = await db.admin<{ id: string; attempts: number }[]>`
    select id, attempts from outbound_parts where conversation_id = ${one.id} and state = 'unknown' order by position`;
  for (const { id, attempts } of unknown) {
    await db.admin`delete from graphile_worker._private_jobs where key = ${`settle:${id}`}`;
    const about = { part_id: id, conversation_id: one.id!, attempts };
    const took = one.carrier.get(id);
    if (took !== undefined) await bridge.record([sendRecord(about, { state: 'accepted', provider_id: took })]);
    else if (one.claims.some((each) => each.part.part_id === id && each.took === undefined))
      await bridge.record([sendRecord(about, { state: 'unknown', run_at_ms: 0 })]);
    else await bridge.record([sendRecord(about, { state: 'queued', run_at_ms: 0 })]);
  }
}

export const REPORTS = ['sent', 'delivered', 'undelivered', 'failed'] as const;

/** A callback on something that the carrier has, or on a message of somebody else. */
export async function callBack(
  one: Conversation,
  { bridge }: Real,
  n: number,
  state: (typeof REPORTS)[number],
  foreign: boolean,
): Promise<void> {
  const [part, sid] = [...one.carrier][n % one.carrier.size]!;
  if (!foreign) {
    await bridge.status([{ part, sid, state }]);
    return;
  }
  const before = await bridge.parts(one.id!);
  // Until the carrier's answer is written down nobody can know that this is another message.
  if (before.find((row) => row.id === part)?.provider_id === null) return;
  await bridge.status([{ part, sid: newSid(), state }]);
  assert.deepEqual(await bridge.parts(one.id!), before, 'a report on another message changed a part');
}

/** Waiting times pass: every job of this conversation's parts is due. */
export async function timePasses(one: Conversation, { db }: Real): Promise<void> {
  await db.admin`
    update graphile_worker._private_jobs j set run_at = clock_timestamp() - interval '1 second' from outbound_parts p
    where p.conversation_id = ${one.id} and j.key = 'send:' || p.id`;
  await db.admin`
    update outbound_parts set sending_at = sending_at - interval '1 hour'
    where conversation_id = ${one.id} and state in ('sending', 'unknown')`;
}

const MANY_ROUNDS = 60;

/** Nothing goes wrong any more: all work must come to its end, with every text answered or cancelled. */
export async function comeToAnEnd(one: Conversation, real: Real): Promise<void> {
  if (one.id === null) return;
  if (one.takenBy !== null) await release(one, real, one.takenBy, false);
  for (let n = 0; n < one.deferred.size; n++) await postLate(one, real, n);
  const open = async () =>
    real.db.admin`
      select 1 from conversations where id = ${one.id} and last_seq > done_seq
      union all
      select 1 from outbound_parts where conversation_id = ${one.id} and state in ('queued', 'sending', 'unknown')`;
  for (let round = 0; (await open()).length > 0; round++) {
    assert.ok(round < MANY_ROUNDS, 'work does not come to an end');
    if (one.fates.length > one.done) {
      await start(one, real);
      await finish(one, real, 0, 2);
    }
    while (one.claims.length > 0) {
      await dispatch(one, real, 0, true);
      await record(one, real, 0, true);
    }
    await timePasses(one, real);
    await settle(one, real);
    while (await claim(one, real, 0)) {
      // One after the other: the next part may be another one.
    }
  }
  await agree(one, real);
  assert.ok(one.fates.every((fate) => fate !== 'waiting'));
}
