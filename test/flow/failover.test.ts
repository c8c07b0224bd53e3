// The primary goes and its standby takes over, under load: nobody restarts us, and the ledger is what the carrier got.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSql } from '../../src/database/pools.ts';
import { prepareTemplate } from '../support/server.ts';
import { allSettled } from '../support/settled.ts';
import { newSid } from '../support/signed-webhook.ts';
import { type ServerPair, startServerPair } from '../support/standby.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const BACK_WITHIN_MS = 30_000;

describe('failover of the database', () => {
  let pair: ServerPair;
  let world: World;
  const givenServer = process.env.DARKSPERE_TEST_SERVER;

  before(async () => {
    pair = await startServerPair();
    await prepareTemplate(pair.url);
    process.env.DARKSPERE_TEST_SERVER = pair.url;
    world = await startWorld();
  });
  after(async () => {
    // A test that failed may have left it so, and nothing can be removed then.
    await pair?.setReadOnly(false);
    await world?.stop();
    await pair?.stop();
    if (givenServer === undefined) delete process.env.DARKSPERE_TEST_SERVER;
    else process.env.DARKSPERE_TEST_SERVER = givenServer;
  });

  test('a standby is refused, by name and without the password', async () => {
    const sql = openSql({ ...pair.standby.connection, database: 'postgres' }, { max: 1 });
    try {
      await assert.rejects(
        async () => await sql`select 1`,
        (error: Error) => {
          assert.match(error.message, /takes no writes/);
          assert.ok(!error.message.includes(pair.standby.connection.password!));
          return true;
        },
      );
    } finally {
      await sql.end();
    }
  });

  test('under load: every text is answered once, in order, and every part the carrier got is accepted', async () => {
    const line = await world.line();
    await line.agent(({ message }) => message);
    const people = Array.from({ length: 15 }, () => world.newPhone());
    const words = (n: number) => Array.from({ length: 6 }, (_, k) => `${n}.${k}`);
    let taken = 0;
    let failedOver = false;
    const texting = people.map(async (phone, n) => {
      for (const [k, body] of words(n).entries()) {
        const fields = world.form({ From: phone, To: line.number, Body: body, MessageSid: newSid() });
        const path = '/webhooks/twilio/messages';
        await until(async () => (await world.signedPost(path, fields)).status === 200, { timeoutMs: BACK_WITHIN_MS });
        taken += 1;
        // Half of each person's texts come when the first server is gone.
        if (k === 2) await until(() => failedOver, { timeoutMs: BACK_WITHIN_MS });
      }
    });
    await until(() => taken > 20);
    await pair.failOver();
    failedOver = true;
    await Promise.all(texting);
    await allSettled(world.sql);
    const sent = (phone: string) =>
      world.simulator
        .messages()
        .filter((message) => message.to === phone && message.direction === 'outbound-api')
        .toReversed();
    for (const [n, phone] of people.entries()) {
      assert.deepEqual(
        sent(phone).flatMap(({ body }) => body.split('\n')),
        words(n),
      );
      const parts = await world.sql<{ provider_id: string }[]>`
        select p.provider_id from outbound_parts p join conversations c on c.id = p.conversation_id
        where c.their_address = ${phone} order by p.position`;
      assert.deepEqual(
        parts.map((part) => part.provider_id),
        sent(phone).map(({ sid }) => sid),
      );
    }
  });

  test('a primary that is set read-only is left, and used again when it takes writes', async () => {
    const line = await world.line();
    await line.agent(({ message }) => `You said ${message}`);
    const outages = () => world.log.filter((entry) => entry.includes('the database is away')).length;
    const before = outages();
    await pair.setReadOnly(true);
    await until(() => outages() > before, { what: 'somebody who notices', timeoutMs: BACK_WITHIN_MS });
    const person = line.person();
    // Taken all the same: the spool has it.
    assert.equal((await person.text('and now?')).status, 200);
    await pair.setReadOnly(false);
    assert.equal((await person.next(undefined, BACK_WITHIN_MS)).body, 'You said and now?');
  });
});
