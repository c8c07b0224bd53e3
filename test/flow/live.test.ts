// The live feed: whoever watches hears of every change or is told to read everything anew, and it costs nobody anything else.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import { applyStatuses } from '../../src/bridge/store.ts';
import { connectionUrl } from '../../src/database/connection.ts';
import { createOutage } from '../../src/database/outage.ts';
import { openPools, type Sql } from '../../src/database/pools.ts';
import { createLiveFeed, type LiveEvent, type LiveFeed } from '../../src/inbox/live.ts';
import { handBack, sendAsOperator, takeOver } from '../../src/inbox/takeover.ts';
import { bridgeOf, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startProxy } from '../support/proxy.ts';
import { newSid } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';

const logger = pino({ level: 'silent' });
const BACK_WITHIN_MS = 20_000;

const feedOn = (sql: Sql, more: { lingerMs?: number } = {}) =>
  createLiveFeed({ sql, logger, outage: createOutage(logger), ...more });

const conversationOf = ({ change }: LiveEvent) => ('conversation_id' in change ? change.conversation_id : null);

/** Somebody at a console: what they heard, and the last id of it. */
function viewerOf(feed: LiveFeed, lastEventId?: string) {
  const heard: (LiveEvent | 'reset')[] = [];
  const leave = feed.subscribe((event) => heard.push(event), lastEventId);
  const changes = () => heard.filter((event) => event !== 'reset');
  return {
    heard,
    leave,
    changes,
    lastId: () => changes().at(-1)!.id,
    resets: () => heard.filter((event) => event === 'reset').length,
  };
}

describe('the live feed', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  /** Announces one change of each of so many conversations; gives them in the order of their places. */
  async function announce(many: number, what = 'text'): Promise<string[]> {
    const ids = Array.from({ length: many }, () => crypto.randomUUID());
    await db.admin`select tell_watchers(${what}, ${ids}::uuid[])`;
    return ids;
  }
  const sorted = (events: readonly LiveEvent[]) => events.map(conversationOf).toSorted();
  const begun = (viewer: { resets(): number }) =>
    until(() => viewer.resets() === 1, { what: 'the beginning of the feed' });

  test('whoever was cut before they heard of anything goes on from the place that they were told', async () => {
    const feed = feedOn(db.pools.web);
    const witness = viewerOf(feed);
    await begun(witness);
    const { position } = feed;
    const ids = await announce(3);
    await until(() => witness.changes().length === 3);
    const late = viewerOf(feed, position);
    assert.deepEqual([sorted(late.changes()), late.resets()], [ids.toSorted(), 0]);
    assert.equal(feed.position, late.lastId());
    await feed.close();
  });

  test('loses none of 1,000 changes over cut subscriptions, and repeats none', async () => {
    const feed = feedOn(db.pools.web);
    const witness = viewerOf(feed);
    await begun(witness);
    let viewer = viewerOf(feed);
    const told: string[] = [];
    const heard: LiveEvent[] = [];
    for (let n = 0; n < 20; n++) {
      told.push(...(await announce(25)));
      await until(() => viewer.changes().length > 0);
      const lastId = viewer.lastId();
      viewer.leave();
      heard.push(...viewer.changes());
      told.push(...(await announce(25)));
      // Some of it comes before they are back, some after.
      if (n % 2 === 0) await until(() => witness.changes().length === told.length);
      viewer = viewerOf(feed, lastId);
    }
    await until(() => heard.length + viewer.changes().length >= told.length);
    heard.push(...viewer.changes());
    assert.equal(viewer.resets(), 0);
    assert.equal(told.length, 1_000);
    assert.deepEqual(sorted(heard), told.toSorted());
    assert.deepEqual(heard, witness.changes(), 'in another order than somebody who stayed');
    await feed.close();
  });

  test('keeps on for a while when the last one leaves, then ends; who comes back later reads everything anew', async () => {
    const feed = feedOn(db.pools.web, { lingerMs: 300 });
    const first = viewerOf(feed);
    await begun(first);
    await announce(1);
    await until(() => first.changes().length === 1);
    first.leave();
    const told = await announce(3);
    await until(async () => viewerOf(feed, first.lastId()).changes().length === 3);
    const second = viewerOf(feed, first.lastId());
    assert.deepEqual(sorted(second.changes()), told.toSorted());
    second.leave();
    const others = await db.admin`select 1 from live_watchers`;
    assert.equal(others.length, 1);
    await feed.close();
    assert.equal((await db.admin`select 1 from live_watchers`).length, 0, 'somebody seems to watch still');
    const late = viewerOf(feed, second.lastId());
    assert.equal(late.heard[0], 'reset');
    late.leave();
    await feed.close();
  });

  test('ends by itself some time after the last one left', async () => {
    const feed = feedOn(db.pools.web, { lingerMs: 20 });
    const viewer = viewerOf(feed);
    await begun(viewer);
    viewer.leave();
    await until(async () => (await db.admin`select 1 from live_watchers`).length === 0);
    await announce(1);
    assert.equal(viewer.changes().length, 0);
    await feed.close();
  });

  test('an id that is too old, of another process or senseless is a reset', async () => {
    const [one, two] = [feedOn(db.pools.web), feedOn(db.pools.web)];
    const viewers = [viewerOf(one), viewerOf(two)];
    for (const viewer of viewers) await begun(viewer);
    const told = await announce(10_050);
    for (const viewer of viewers) await until(() => viewer.changes().length === told.length);
    const ids = viewers[0]!.changes().map(({ id }) => id);
    for (const id of [ids[40]!, viewers[1]!.lastId(), '', 'x-1', `${ids[0]!.split('-')[0]}-99999999`, 'a-b-c']) {
      const viewer = viewerOf(one, id);
      assert.deepEqual(viewer.heard, ['reset'], id);
      viewer.leave();
    }
    const kept = viewerOf(one, ids[50]);
    assert.equal(kept.changes().length, 10_050 - 51);
    await Promise.all([one.close(), two.close()]);
  });

  test('after its connection was cut: a reset, and everything again', async () => {
    const feed = feedOn(db.pools.web);
    const viewer = viewerOf(feed);
    await begun(viewer);
    await announce(1);
    await until(() => viewer.changes().length === 1);
    const cut = await db.admin`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query like 'listen %'`;
    assert.ok(cut.length > 0);
    await announce(1);
    await until(() => viewer.resets() === 2, { timeoutMs: BACK_WITHIN_MS });
    assert.deepEqual(viewerOf(feed, viewer.changes()[0]!.id).heard, ['reset'], 'an id from before the gap is known');
    const [told] = await announce(1);
    await until(() => viewer.changes().some((event) => conversationOf(event) === told));
    await feed.close();
  });

  test('agents that change are told too, in the order of everything else', async () => {
    const feed = feedOn(db.pools.web);
    const viewer = viewerOf(feed);
    await begun(viewer);
    const agent = crypto.randomUUID();
    await db.admin`select pg_notify('agents_changed', ${agent})`;
    await db.admin`select pg_notify('agents_changed', 'configured')`;
    await announce(1);
    await until(() => viewer.changes().length === 3, { what: 'two agents and a conversation' });
    const [first, second, third] = viewer.changes();
    assert.deepEqual([first!.change, second!.change], [{ agent_id: agent }, { agent_id: null }]);
    assert.deepEqual(viewerOf(feed, first!.id).changes(), [second, third]);
    await feed.close();
  });

  test('after the database was away: a reset, and everything again', async () => {
    const { host, port } = db.connection;
    const wire = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    const url = connectionUrl({ ...db.connection, host: '127.0.0.1', port: wire.port });
    const pools = await openPools(url, { web: 2, worker: 1, admin: 1 });
    const feed = feedOn(pools.web);
    const viewer = viewerOf(feed);
    await begun(viewer);
    await wire.down();
    await announce(1);
    await wire.up();
    await until(() => viewer.resets() >= 2, { timeoutMs: BACK_WITHIN_MS });
    // Once more perhaps: its place among those who watch may have been given up.
    await until(async () => {
      const [told] = await announce(1);
      return until(() => viewer.changes().some((event) => conversationOf(event) === told), { timeoutMs: 500 });
    });
    await feed.close();
    await pools.close();
    await wire.down();
  });

  test('a server that has forgotten who watches: a reset', async () => {
    const feed = feedOn(db.pools.web);
    const viewer = viewerOf(feed);
    await begun(viewer);
    await db.admin`truncate live_watchers`;
    await announce(1);
    await until(() => viewer.resets() === 2);
    assert.deepEqual(viewer.changes(), []);
    await feed.close();
  });

  test('begins only when every commit has seen it that might not have announced itself', async () => {
    const feed = feedOn(db.pools.web);
    const [hasLooked, mayCommit] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const commit = db.admin.begin(async (tx) => {
      await tx`insert into webhook_receipts (channel, provider_id) values ('test', 'under way')`;
      await tx`select tell_watchers('text', array[gen_random_uuid()])`;
      hasLooked.resolve();
      await mayCommit.promise;
    });
    await hasLooked.promise;
    const viewer = viewerOf(feed);
    await until(async () => (await db.admin`select 1 from live_watchers`).length > 0);
    assert.deepEqual(viewer.heard, [], 'told to read what is not committed yet');
    mayCommit.resolve();
    await commit;
    await begun(viewer);
    assert.equal(viewer.heard.length, 1);
    await feed.close();
  });

  test('a listener that breaks disturbs nobody', async () => {
    const feed = feedOn(db.pools.web);
    let calls = 0;
    feed.subscribe(() => {
      calls++;
      throw new Error('broken');
    });
    const viewer = viewerOf(feed);
    await begun(viewer);
    await announce(2);
    await until(() => viewer.changes().length === 2);
    assert.equal(calls, 1);
    await feed.close();
  });
});

describe('what is announced', () => {
  let db: TestDatabase;
  const said: string[] = [];
  before(async () => {
    db = await freshDatabase();
    await db.admin.listen('darkspere_live', (payload) => said.push(payload));
  });
  after(() => db.drop());

  /** Everything that was announced before this. */
  async function announced(): Promise<string[]> {
    const end = crypto.randomUUID();
    await db.admin`select pg_notify('darkspere_live', ${end})`;
    await until(() => said.includes(end));
    const all = said.splice(0);
    return all.slice(0, all.indexOf(end));
  }
  const watched = (isWatched: boolean) =>
    isWatched
      ? db.admin`insert into live_watchers values (gen_random_uuid(), now() + interval '1 day')`
      : db.admin`truncate live_watchers`;
  const inBase64 = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64').replaceAll('=', '');
  const whats = (payloads: readonly string[]) => payloads.map((payload) => payload.split(' ')[0]);

  /** Everything that can happen to a conversation; gives what was announced step by step. */
  async function everything(): Promise<Record<string, (string | undefined)[]>> {
    const bridge = bridgeOf(db);
    const seen: Record<string, (string | undefined)[]> = {};
    const note = async (step: string) => {
      seen[step] = whats(await announced());
    };
    const phone = somebody();
    const id = (await bridge.arrive(phone, 'hello'))!.conversationId;
    await note('a text');
    const turn = await bridge.start(id);
    await note('a start');
    const [end] = await bridge.finish([reply(turn!, ['Hello.'])]);
    await note('an answer');
    const [part] = await bridge.claim([end!.sendNow!]);
    await note('a claim');
    const sid = newSid();
    await bridge.record([sendRecord(part!, { state: 'accepted', provider_id: sid })]);
    await note('a send');
    await bridge.status([{ part: part!.part_id, sid, state: 'delivered' }]);
    await note('a delivery');
    const act = { conversationId: id, by: 'Ida' };
    const policy = { optOutScope: null, pacing: false, takeoverMinutes: 30 };
    await takeOver(db.pools.web, act, policy);
    await note('a takeover');
    await sendAsOperator(db.pools.web, { ...act, text: 'Ida here.', idempotencyKey: null }, policy);
    await note('an operator’s words');
    await handBack(db.pools.web, act);
    await note('a hand back');
    await bridge.keyword(phone, 'STOP');
    await note('a STOP');
    return seen;
  }

  test('is nothing while nobody watches', async () => {
    for (const [step, payloads] of Object.entries(await everything())) assert.deepEqual(payloads, [], step);
  });

  test('is each kind of change while somebody does, each once', async () => {
    await watched(true);
    const seen = await everything();
    await watched(false);
    assert.deepEqual(seen, {
      'a text': ['text'],
      'a start': ['turn'],
      'an answer': ['reply'],
      'a claim': ['send'],
      'a send': ['send'],
      'a delivery': ['status'],
      'a takeover': ['takeover'],
      'an operator’s words': ['reply', 'takeover'],
      'a hand back': ['takeover'],
      'a STOP': ['turn', 'reply', 'text'],
    });
  });

  test('of a STOP and a START that cover several numbers is told for the conversations with all of them', async () => {
    const service = bridgeOf(db, { optOutScope: 'MG1' });
    const phone = somebody();
    const other = { to: '+15550009999' };
    const [one, two] = [await service.arrive(phone, 'hello'), await service.arrive(phone, 'hello', other)];
    const both = [one!.conversationId, two!.conversationId].map(inBase64);
    await watched(true);
    for (const word of ['STOP', 'START']) {
      await service.keyword(phone, word);
      const told = await announced();
      for (const id of both)
        assert.ok(
          told.some((payload) => payload.includes(id)),
          `${word}: ${told}`,
        );
    }
    await watched(false);
  });

  test('is one notification for a batch, however many are in it', async () => {
    await watched(true);
    const bridge = bridgeOf(db);
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push(await bridge.answered(somebody(), ['One.', 'Two.']));
    const parts = (await Promise.all(ids.map((id) => bridge.parts(id)))).flat();
    await announced();
    const reports = parts.map(({ id }) => ({
      part_id: id,
      provider_id: newSid(),
      state: 'delivered' as const,
      error_code: null,
      opted_out: false,
    }));
    await applyStatuses(db.pools.web, reports, null);
    const [payload, ...more] = await announced();
    assert.deepEqual(more, []);
    assert.equal(payload!.length, 'status '.length + 3 * 22, 'a conversation comes twice');
    // Of the largest batch there is, too.
    const many = Array.from({ length: 256 }, () => crypto.randomUUID());
    await db.admin`select tell_watchers('text', ${many}::uuid[])`;
    assert.equal((await announced()).length, 1);
    await db.admin`select tell_watchers('text', ${[...many, ...many.map(() => crypto.randomUUID())]}::uuid[])`;
    assert.equal((await announced()).length, 2);
    await watched(false);
  });

  test('a watcher that went silent counts for ten seconds', async () => {
    await db.admin`insert into live_watchers values (gen_random_uuid(), now() - interval '9 seconds')`;
    assert.equal((await db.admin`select is_watched() as yes`)[0]!.yes, true);
    await db.admin`update live_watchers set seen_at = now() - interval '11 seconds'`;
    assert.equal((await db.admin`select is_watched() as yes`)[0]!.yes, false);
    await watched(false);
  });
});
