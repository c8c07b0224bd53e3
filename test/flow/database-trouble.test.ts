// The database goes away and comes back, without a spool: what cannot be stored is refused at once, and nothing is lost or
// said twice.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { connectionUrl } from '../../src/database/connection.ts';
import type { Runtime } from '../../src/runtime.ts';
import { bridgeOf } from '../support/bridge.ts';
import { startProxy, type Wire } from '../support/proxy.ts';
import { HANG } from '../support/scripted-agent.ts';
import { allSettled } from '../support/settled.ts';
import { newSid } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

/** "503 within 1 s", and what a loaded machine adds to it. */
const REFUSED_WITHIN_MS = 1_500;
const BACK_WITHIN_MS = 20_000;

describe('trouble with the database', () => {
  let world: World;
  let wire: Wire;
  let shaky: Runtime;
  let messagesUrl: string;

  before(async () => {
    // Registration and the test have a sound connection; the gateway and the worker have one that can be cut.
    world = await startWorld({ parts: ['agent-registration'] });
    const { connection } = world.database;
    const { host, port } = connection;
    wire = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    shaky = await world.runtime(['gateway', 'worker'], {
      DATABASE_URL: connectionUrl({ ...connection, host: '127.0.0.1', port: wire.port }),
      PUBLIC_URL: 'http://localhost:0',
      DARKSPERE_SPOOL_MAX_MB: '0',
    });
    messagesUrl = `${shaky.urls.gateway}/webhooks/twilio/messages`;
    world.simulator.setWebhookUrl(messagesUrl);
  });
  beforeEach(() => wire.up());
  after(async () => {
    await wire?.up();
    await shaky?.stop();
    await wire?.down();
    await world.stop();
  });

  const post = (line: Pick<Line, 'number'>, from: string, body: string, sid = newSid()) =>
    world.signedPost('', world.form({ From: from, To: line.number, Body: body, MessageSid: sid }), {
      url: messagesUrl,
    });

  const ready = () =>
    until(async () => (await fetch(`${shaky.urls.gateway}/ready`)).status === 200, { timeoutMs: BACK_WITHIN_MS });

  /** A line whose agent has answered already, so that the worker surely knows it when the database goes. */
  async function echoLine() {
    await ready();
    const line = await world.line();
    const agent = await line.agent(({ message }) => `You said ${message}`);
    const first = line.person();
    await first.text('first');
    await first.next((text) => text.body === 'You said first', BACK_WITHIN_MS);
    return { ...line, agent };
  }

  const sentTo = (phone: string) =>
    world.simulator
      .messages()
      .filter((message) => message.to === phone && message.direction === 'outbound-api')
      .map((message) => message.body)
      .toReversed();

  test('while it is away a webhook is refused with 503 within a second, and nothing of it is stored', async () => {
    const line = await echoLine();
    const phone = world.newPhone();
    await wire.down();
    for (const body of ['hello', 'STOP', 'Stop.']) {
      const startMs = performance.now();
      const { status, text } = await post(line, phone, body);
      const tookMs = performance.now() - startMs;
      assert.equal(status, 503, text);
      assert.match(text, /storage_unavailable/);
      assert.ok(tookMs < REFUSED_WITHIN_MS, `refused after ${Math.round(tookMs)} ms`);
    }
    assert.equal((await fetch(`${shaky.urls.gateway}/ready`)).status, 503);
    assert.equal((await fetch(`${shaky.urls.gateway}/health`)).status, 200);
  });

  test('after it is back texts are answered without a restart, also the one that was refused', async () => {
    const line = await echoLine();
    const person = line.person();
    const sid = newSid();
    await wire.down();
    assert.equal((await post(line, person.phone, 'refused', sid)).status, 503);
    await wire.up();
    await ready();
    // The carrier's fallback brings the same message again; should it have been stored after all, it is still one text.
    assert.equal((await post(line, person.phone, 'refused', sid)).status, 200);
    assert.equal((await person.next(undefined, BACK_WITHIN_MS)).body, 'You said refused');
    await person.text('and again');
    assert.equal((await person.next()).body, 'You said and again');
    assert.equal(sentTo(person.phone).length, 2);
  });

  test('an outage of many seconds does not stop the worker for good', async () => {
    const line = await echoLine();
    const person = line.person();
    await wire.down();
    // Longer than ten failed polls in a row, at which the job library would give up.
    const endsMs = performance.now() + 6_000;
    await until(() => performance.now() > endsMs);
    await wire.up();
    await ready();
    assert.equal((await person.text('still there?')).status, 200);
    assert.equal((await person.next(undefined, BACK_WITHIN_MS)).body, 'You said still there?');
  });

  test('gone while an agent thinks: the answer is kept until it can be written, and sent once', async () => {
    const { agent, ...line } = await echoLine();
    const gate = Promise.withResolvers<string>();
    agent.behave(() => gate.promise);
    const person = line.person();
    await person.text('hello');
    await until(() => agent.calls.length === 2);
    await wire.down();
    gate.resolve('the answer');
    await until(() => agent.calls[1]?.answered);
    await wire.up();
    assert.equal((await person.next(undefined, BACK_WITHIN_MS)).body, 'the answer');
    await allSettled(world.sql);
    assert.deepEqual(sentTo(person.phone), ['the answer']);
  });

  test('a STOP that came while the worker heard nothing ends the call of the agent when it hears again', async () => {
    const { agent, ...line } = await echoLine();
    agent.behave(() => HANG);
    const person = line.person();
    await person.text('hello');
    await until(() => agent.calls.length === 2);
    await wire.down();
    // Through a gateway that still has its database.
    assert.ok(await bridgeOf(world.database).keyword(person.phone, 'STOP', { to: line.number }));
    assert.equal(agent.calls[1]!.aborted, false);
    await wire.up();
    await until(() => agent.calls[1]!.aborted, { what: 'the call being cancelled', timeoutMs: BACK_WITHIN_MS });
    const { turns } = await line.story(person);
    assert.deepEqual(
      turns.map(({ state }) => state),
      ['cancelled'],
    );
  });

  test('every connection of it ended under load, again and again: no text lost, none answered twice', async () => {
    const line = await echoLine();
    const people = Array.from({ length: 20 }, () => world.newPhone());
    const words = (n: number) => Array.from({ length: 4 }, (_, k) => `${n}.${k}`);
    let texting = true;
    const all = Promise.all(
      people.map(async (phone, n) => {
        for (const word of words(n)) {
          const sid = newSid();
          await until(async () => (await post(line, phone, word, sid)).status === 200, { timeoutMs: BACK_WITHIN_MS });
        }
      }),
    ).finally(() => {
      texting = false;
    });
    let cuts = 0;
    while (texting || cuts < 5) {
      cuts += 1;
      await world.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'darkspere\\_%'`;
      await Promise.race([all, until(() => Math.random() < 0.05)]);
    }
    await all;
    await allSettled(world.sql);
    for (const [n, phone] of people.entries()) {
      const said = sentTo(phone).flatMap((body) => body.replace(/^You said /, '').split('\n'));
      assert.deepEqual(said, words(n));
    }
  });

  test('every tenth write fails, for lack of room or for the sake of others: all are answered once, in order', async () => {
    const line = await echoLine();
    const tables = ['webhook_receipts', 'messages', 'conversations', 'turns', 'outbound_parts', 'sender_pacing'];
    await world.sql.unsafe(`
      create function public.fault() returns trigger language plpgsql as $$
      declare
        codes text[] := '{53100,53200,53300,40001,40P01,57014,57P01,25006}';
      begin
        if random() < 0.1 then
          raise exception 'a fault of the test' using errcode = codes[1 + floor(random() * array_length(codes, 1))];
        end if;
        return null;
      end $$;
      ${tables.map((table) => `create trigger fault before insert or update on ${table} execute function fault();`).join('\n')}
      create trigger fault before insert or update or delete on graphile_worker._private_jobs execute function fault();`);
    const people = Array.from({ length: 12 }, () => world.newPhone());
    const words = (n: number) => Array.from({ length: 4 }, (_, k) => `${n}.${k}`);
    try {
      await Promise.all(
        people.map(async (phone, n) => {
          for (const word of words(n)) {
            const sid = newSid();
            await until(async () => (await post(line, phone, word, sid)).status === 200, { timeoutMs: BACK_WITHIN_MS });
          }
        }),
      );
      await until(async () => (await world.sql`select from conversations where last_seq > done_seq`).length === 0, {
        timeoutMs: BACK_WITHIN_MS,
        what: 'answers in spite of it',
      });
    } finally {
      await world.sql`drop function fault() cascade`;
    }
    await allSettled(world.sql);
    for (const [n, phone] of people.entries()) {
      assert.deepEqual(
        sentTo(phone).flatMap((body) => body.replace(/^You said /, '').split('\n')),
        words(n),
      );
    }
  });
});
