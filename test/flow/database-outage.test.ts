// The database is stopped for half a minute, or its connections are all taken: every text gets its 200, and is answered once.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Embedded, startEmbedded } from '../../src/database/embedded.ts';
import { endWithUs } from '../support/left-behind.ts';
import { prepareTemplate, TEST_SETTINGS } from '../support/server.ts';
import { allSettled } from '../support/settled.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

const BACK_WITHIN_MS = 40_000;

/** What people text and get, in a world; a text that is not answered 200 fails the test: later than 0.9 s it would be 503. */
function crowd(world: World, line: Line, size: number) {
  const people = Array.from({ length: size }, () => world.newPhone());
  const said: string[] = [];
  const sentTo = (phone: string) =>
    world.simulator
      .messages()
      .filter((message) => message.to === phone && message.direction === 'outbound-api')
      .toReversed()
      .flatMap(({ body }) => body.split('\n'));
  return {
    async say(word: string) {
      said.push(word);
      const answers = await Promise.all(
        people.map((phone) =>
          world.signedPost('/webhooks/twilio/messages', world.form({ From: phone, To: line.number, Body: word })),
        ),
      );
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200], `the texts "${word}"`);
    },
    /** Everybody is answered: to each text once, in order. */
    async isAnswered() {
      await until(() => people.every((phone) => sentTo(phone).length >= said.length), {
        what: 'all answers',
        timeoutMs: BACK_WITHIN_MS,
      });
      await allSettled(world.sql);
      for (const phone of people) assert.deepEqual(sentTo(phone), said);
    },
  };
}

/** How many texts the spool took so far. */
const spooled = async (world: World) => {
  const text = await (await fetch(`${world.urls.gateway}/metrics`)).text();
  return Number(/^darkspere_texts_in_total\{outcome="spooled"\} (\d+)$/m.exec(text)?.[1] ?? 0);
};

describe('a server that is stopped', () => {
  let dataDir: string;
  let server: Embedded;
  let world: World;
  const givenServer = process.env.DARKSPERE_TEST_SERVER;

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'darkspere-outage-'));
    endWithUs({ dataDir });
    server = await startEmbedded({ dataDir, settings: TEST_SETTINGS });
    await prepareTemplate(server.url);
    process.env.DARKSPERE_TEST_SERVER = server.url;
    world = await startWorld();
  });
  after(async () => {
    await world?.stop();
    await server?.stop();
    if (givenServer === undefined) delete process.env.DARKSPERE_TEST_SERVER;
    else process.env.DARKSPERE_TEST_SERVER = givenServer;
    await rm(dataDir, { recursive: true, force: true });
  });

  test('for half a minute: what comes meanwhile is taken, and answered once and in order when it is back', async () => {
    const line = await world.line();
    await line.agent(({ message }) => message);
    const { say, isAnswered } = crowd(world, line, 8);
    await say('before');
    const endsMs = performance.now() + 30_000;
    await server.stop();
    for (let n = 0; performance.now() < endsMs; n++) {
      await say(`during ${n}`);
      const nextMs = performance.now() + 2_000;
      await until(() => performance.now() > nextMs);
    }
    assert.ok((await spooled(world)) > 0, 'the database was not away');
    server = await startEmbedded({ dataDir, settings: TEST_SETTINGS });
    await say('after');
    await isAnswered();
  });
});

describe('connections that are all taken by statements that take long', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  /** Runs `work` while nobody else may touch the table. */
  async function locked(table: string, work: () => Promise<void>): Promise<void> {
    await world.sql.begin(async (tx) => {
      await tx.unsafe(`lock table ${table} in access exclusive mode`);
      await work();
    });
  }

  /** As many sessions of the role as there are connections in its pool wait for that lock. */
  const allTaken = (role: 'darkspere_web' | 'darkspere_worker', size: number) =>
    until(
      async () => {
        const taken = await world.database.admin`
          select from pg_stat_activity
          where datname = current_database() and application_name = ${role} and wait_event_type = 'Lock'`;
        return taken.length >= size;
      },
      { what: `${size} connections of ${role} that wait` },
    );

  test('those of the gateway: texts are taken by the spool, and answered once', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => message);
    const { say, isAnswered } = crowd(world, line, 8);
    await say('before');
    await isAnswered();
    let isOver = false;
    const headers = { authorization: `Bearer ${agent.apiKey}` };
    // More at once than the pool has connections, again and again: one whose statement is given up has a successor.
    const ask = async () => {
      while (!isOver) await (await fetch(`${world.urls.agentRegistration}/api/agents/stats`, { headers })).text();
    };
    let askers: Promise<unknown> = Promise.resolve();
    await locked('agent_registry', async () => {
      askers = Promise.all(Array.from({ length: 12 }, ask));
      await allTaken('darkspere_web', 4);
      for (const word of ['one', 'two', 'three']) await say(word);
      assert.ok((await spooled(world)) > 0, 'there was a connection for them');
    }).finally(() => {
      isOver = true;
    });
    await askers;
    await say('after');
    await isAnswered();
  });

  test('those of the worker: texts are taken, wait, and are answered once', async () => {
    const line = await world.line();
    await line.agent(({ message }) => message);
    const { say, isAnswered } = crowd(world, line, 8);
    await say('before');
    await isAnswered();
    await locked('outbound_parts', async () => {
      // Looks for parts that do not exist, a connection each.
      await world.database.admin`
        select graphile_worker.add_job('settle', json_build_object('p', gen_random_uuid())) from generate_series(1, 12)`;
      await allTaken('darkspere_worker', 6);
      for (const word of ['one', 'two', 'three']) await say(word);
    });
    await say('after');
    await isAnswered();
  });
});
