// The database goes away: texts are taken all the same, kept on disk, and answered once and in order when it is back.
import assert from 'node:assert/strict';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { encodeRecord } from '../../src/bridge/spool/record.ts';
import { connectionUrl } from '../../src/database/connection.ts';
import type { Runtime } from '../../src/runtime.ts';
import { freePort } from '../support/free-port.ts';
import { startProxy, type Wire } from '../support/proxy.ts';
import { newSid } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

/** "503 within a second", and what a loaded machine adds to it. */
const REFUSED_WITHIN_MS = 1_500;
const BACK_WITHIN_MS = 20_000;

describe('an outage of the database', () => {
  let world: World;
  let wire: Wire;
  let gateway: Runtime;
  let spoolDir: string;
  let messagesUrl: string;

  before(async () => {
    // Everybody else has a sound connection to the database; the gateway has one that can be cut.
    const port = String(await freePort());
    const PUBLIC_URL = `http://localhost:${port}`;
    world = await startWorld({
      parts: ['agent-registration', 'worker'],
      env: { PUBLIC_URL, PORT: port, DARKSPERE_SPOOL_DIR: 'kept' },
    });
    spoolDir = join(world.dataDir, 'kept');
    wire = await startProxy(address());
    gateway = await world.runtime(['gateway'], {
      DATABASE_URL: shakyUrl(),
      PUBLIC_URL,
      DARKSPERE_SPOOL_MAX_MB: '1',
    });
    messagesUrl = `${gateway.urls.gateway}/webhooks/twilio/messages`;
    world.simulator.setWebhookUrl(messagesUrl);
  });
  beforeEach(() => wire.up());
  after(async () => {
    await wire?.up();
    await gateway?.stop();
    await wire?.down();
    await world.stop();
  });

  const shakyUrl = () => connectionUrl({ ...world.database.connection, host: '127.0.0.1', port: wire.port });
  function address() {
    const { host, port } = world.database.connection;
    return host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
  }
  const post = (to: string, from: string, body: string, sid = newSid()) =>
    world.signedPost('', world.form({ From: from, To: to, Body: body, MessageSid: sid }), { url: messagesUrl });
  const ready = async () => (await (await fetch(`${gateway.urls.gateway}/ready`)).json()) as { notes?: string[] };
  const metric = async (name: string) => {
    const text = await (await fetch(`${gateway.urls.gateway}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  };
  const drained = () =>
    until(async () => (await metric('darkspere_spool_records')) === 0, {
      what: 'an empty spool',
      timeoutMs: BACK_WITHIN_MS,
    });
  const sentTo = (phone: string) =>
    world.simulator
      .messages()
      .filter((message) => message.to === phone && message.direction === 'outbound-api')
      .map((message) => message.body)
      .toReversed();
  const saidTo = (phone: string) => sentTo(phone).flatMap((body) => body.split('\n'));

  test('costs no text: each is answered 200, and later once and in order', async () => {
    const line = await world.line();
    await line.agent(({ message }) => message);
    const people = Array.from({ length: 12 }, () => world.newPhone());
    for (const phone of people) assert.equal((await post(line.number, phone, 'before')).status, 200);
    await wire.down();
    for (let n = 0; n < 5; n++) {
      const answers = await Promise.all(people.map((phone) => post(line.number, phone, `during ${n}`)));
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    }
    // And perhaps a callback of the answers to the first ones.
    assert.ok((await metric('darkspere_spool_records')) >= 60);
    await wire.up();
    // These come while the older ones are drained, or behind them.
    for (const phone of people) assert.equal((await post(line.number, phone, 'after')).status, 200);
    await drained();
    const words = ['before', ...Array.from({ length: 5 }, (_, n) => `during ${n}`), 'after'];
    for (const phone of people) {
      await until(() => saidTo(phone).length >= words.length, { timeoutMs: BACK_WITHIN_MS });
      await line.story(phone);
      assert.deepEqual(saidTo(phone), words);
    }
    assert.ok((await metric('darkspere_spool_drained_total')) >= 60);
    const spooled = await (await fetch(`${gateway.urls.gateway}/metrics`)).text();
    assert.match(spooled, /^darkspere_texts_in_total\{outcome="spooled"\} \d+$/m);
  });

  test('keeps when each webhook came, however long its text was on the way', async () => {
    const line = await world.line();
    await line.agent(() => 'hello');
    const phone = world.newPhone();
    await post(line.number, phone, 'before');
    await wire.down();
    await post(line.number, phone, 'during');
    const [moment] = await world.sql<{ back: Date }[]>`select clock_timestamp() as back`;
    await wire.up();
    await drained();
    const rows = await world.sql<{ body: string; received_at: Date; stored_at: Date }[]>`
      select m.body, m.received_at, id_time(m.id) as stored_at
      from messages m join conversations c on c.id = m.conversation_id
      where c.their_address = ${phone} and m.direction = 'in' order by m.id`;
    const [before, during] = rows;
    // To the millisecond an id is made in, and what the clocks of two programs differ by.
    assert.ok(before!.received_at.getTime() <= before!.stored_at.getTime() + 50);
    assert.ok(during!.received_at < moment!.back && moment!.back < during!.stored_at);
    assert.deepEqual(
      rows.map(({ body }) => body),
      ['before', 'during'],
    );
    await line.story(phone);
  });

  test('leaves the gateway ready, and says what is missing and what waits', async () => {
    const line = await world.line();
    await line.agent(() => 'hello');
    assert.equal((await ready()).notes, undefined);
    await wire.down();
    await post(line.number, world.newPhone(), 'hello');
    const answer = await fetch(`${gateway.urls.gateway}/ready`);
    assert.equal(answer.status, 200);
    assert.deepEqual(((await answer.json()) as { notes: string[] }).notes, [
      'the database does not answer: texts are kept in the spool',
      '1 record waits in the spool',
    ]);
    await wire.up();
    await until(async () => (await ready()).notes === undefined, { timeoutMs: BACK_WITHIN_MS });
  });

  test('does not lose a STOP, though it is answered 503: what comes after it is not answered until START', async () => {
    const line = await world.line();
    await line.agent(({ message }) => `You said ${message}`);
    const person = line.person();
    await person.text('hello');
    await person.next();
    await wire.down();
    for (const words of ['Stop.', 'are you there?', 'START', 'and now?'])
      assert.equal((await person.text(words)).status, words === 'Stop.' ? 503 : 200);
    await wire.up();
    assert.equal(
      (await person.next((text) => text.body.startsWith('You said'), BACK_WITHIN_MS)).body,
      'You said and now?',
    );
    const { messages } = await line.story(person);
    assert.deepEqual(
      messages.filter(({ direction }) => direction === 'in').map(({ kind, body, refused }) => [kind, body, refused]),
      [
        ['text', 'hello', null],
        ['keyword', 'Stop.', null],
        ['text', 'are you there?', 'opted_out'],
        ['keyword', 'START', null],
        ['text', 'and now?', null],
      ],
    );
    assert.ok(!sentTo(person.phone).includes('You said are you there?'));
  });

  test('of this gateway alone: a STOP that another one acknowledges on the carrier’s second try is one STOP', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => `You said ${message}`);
    const person = line.person();
    await person.text('hello');
    await person.next();
    const port = String(await freePort());
    const PUBLIC_URL = `http://localhost:${port}`;
    const other = await world.runtime(['gateway'], { PUBLIC_URL, PORT: port, DARKSPERE_SPOOL_DIR: 'of the other' });
    const form = world.form({ From: person.phone, To: line.number, Body: 'Stop.', MessageSid: newSid() });
    try {
      await wire.down();
      const answer = Promise.withResolvers<string>();
      agent.behave(() => answer.promise);
      const url = `${other.urls.gateway}/webhooks/twilio/messages`;
      const text = world.form({ From: person.phone, To: line.number, Body: 'and then?', MessageSid: newSid() });
      assert.equal((await world.signedPost('', text, { url })).status, 200);
      await until(() => agent.calls.length === 2);
      assert.equal((await world.signedPost('', form, { url: messagesUrl })).status, 503);
      assert.equal((await world.signedPost('', form, { url })).status, 200);
      answer.resolve('too late');
      await wire.up();
      await drained();
      const { messages, turns } = await line.story(person);
      assert.deepEqual(
        messages.map(({ body }) => body).filter((body) => body === 'Stop.'),
        ['Stop.'],
      );
      assert.equal(turns.at(-1)?.state, 'cancelled');
      assert.ok(!sentTo(person.phone).includes('too late'));
    } finally {
      await wire.up();
      await other.stop();
    }
  });

  test('makes one text of copies that come before, during and after it', async () => {
    const line = await world.line();
    await line.agent(({ message }) => `You said ${message}`);
    const phone = world.newPhone();
    const [early, late] = [newSid(), newSid()];
    await post(line.number, phone, 'early', early);
    await wire.down();
    for (const sid of [early, late, late, early, late]) {
      assert.equal((await post(line.number, phone, sid === early ? 'early' : 'late', sid)).status, 200);
    }
    await wire.up();
    await drained();
    for (const sid of [early, late]) {
      assert.equal((await post(line.number, phone, sid === early ? 'early' : 'late', sid)).status, 200);
    }
    const { messages } = await line.story(phone);
    assert.deepEqual(
      messages.filter(({ direction }) => direction === 'in').map(({ body }) => body),
      ['early', 'late'],
    );
  });

  test('does not lose what the carrier reports meanwhile', async () => {
    const line = await world.line();
    await line.agent(() => 'hello');
    const person = line.person();
    await person.text('hello');
    await person.next();
    const { parts } = await line.story(person);
    const part = parts[0] as { id: string; provider_id: string };
    await wire.down();
    const path = `/webhooks/twilio/status?part=${part.id}`;
    const report = { AccountSid: world.accountSid, MessageSid: part.provider_id, MessageStatus: 'read' };
    assert.equal((await world.signedPost('', report, { url: gateway.urls.gateway + path })).status, 200);
    await wire.up();
    await until(
      () => world.sql`select 1 from outbound_parts where id = ${part.id} and state = 'read'`.then((r) => r.length),
      {
        timeoutMs: BACK_WITHIN_MS,
      },
    );
  });

  test('that outlasts the spool: the rest is refused within a second, and everything that was answered 200 is there', async () => {
    const line = await world.line();
    await line.agent(() => 'hello');
    const phone = world.newPhone();
    await wire.down();
    const taken: string[] = [];
    let refused: { status: number; text: string } | undefined;
    for (let n = 0; refused === undefined; n++) {
      assert.ok(n < 200, 'the spool has no end');
      const sid = newSid();
      const startMs = performance.now();
      const answer = await post(line.number, phone, 'x'.repeat(16_000), sid);
      if (answer.status === 200) taken.push(sid);
      else refused = answer;
      assert.ok(performance.now() - startMs < REFUSED_WITHIN_MS);
    }
    assert.equal(refused.status, 503);
    assert.match(refused.text, /storage_unavailable.*The spool is full/);
    assert.ok(taken.length > 50);
    assert.ok((await metric('darkspere_spool_refused_total')) >= 1);
    const state = await fetch(`${gateway.urls.gateway}/ready`);
    assert.equal(state.status, 503);
    assert.match(await state.text(), /the database does not answer and the spool is full/);
    await wire.up();
    await drained();
    const rows = await world.sql<{ provider_id: string }[]>`
      select provider_id from messages where conversation_id = ${(await line.conversation(phone)).id} and direction = 'in'
      order by seq`;
    assert.deepEqual(
      rows.map((row) => row.provider_id),
      taken,
    );
  });

  test('with a spool that cannot be written: 503 within a second', async () => {
    const line = await world.line();
    await line.agent(({ message }) => `You said ${message}`);
    const person = line.person();
    await wire.down();
    await rm(spoolDir, { recursive: true });
    await writeFile(spoolDir, 'not a directory');
    const startMs = performance.now();
    const { status, text } = await post(line.number, person.phone, 'hello');
    assert.ok(performance.now() - startMs < REFUSED_WITHIN_MS);
    assert.equal(status, 503);
    assert.match(text, /storage_unavailable/);
    await rm(spoolDir);
    // Put right, it works without a restart.
    assert.equal((await post(line.number, person.phone, 'hello again')).status, 200);
    await wire.up();
    assert.equal((await person.next(undefined, BACK_WITHIN_MS)).body, 'You said hello again');
  });

  test('a record that the database refuses is put aside and holds nobody up; a folder of nobody is taken in', async () => {
    const line = await world.line();
    await line.agent(({ message }) => `You said ${message}`);
    const [first, second] = [line.person(), line.person()];
    const record = (from: string, text: string) =>
      encodeRecord({
        kind: 'text',
        text: { channel: 'sms', providerId: newSid(), from, to: line.number, text, media: [], optOutHandled: null },
      });
    const folder = join(spoolDir, 'again@nobody');
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, '1.spool'),
      Buffer.concat([record(first.phone, 'one'), record(first.phone, 'no \u0000 text'), record(second.phone, 'two')]),
    );
    assert.equal((await first.next(undefined, BACK_WITHIN_MS)).body, 'You said one');
    assert.equal((await second.next(undefined, BACK_WITHIN_MS)).body, 'You said two');
    await drained();
    const aside = await readdir(join(spoolDir, 'aside'));
    assert.equal(aside.length, 1);
    assert.equal((await stat(join(spoolDir, 'aside', aside[0]!))).mode & 0o777, 0o600);
    assert.ok(world.log.some((entry) => entry.includes('the database refuses a spooled text')));
  });

  test('logs neither a text nor a number', () => {
    const lines = world.log.filter((entry) => /spool/.test(entry)).join('\n');
    assert.ok(lines.length > 0);
    assert.doesNotMatch(lines, /\+1555|hello|You said/);
  });

  test('thousands of texts and keywords of hundreds of people are drained in order', async () => {
    const line = await world.line();
    const people = Array.from({ length: 300 }, () => world.newPhone());
    const folder = join(spoolDir, 'crowd@nobody');
    const said = ['one', 'two', 'RESET', 'three', 'STOP', 'START', 'four'];
    const records = said.flatMap((text) =>
      people.map((from) =>
        encodeRecord({
          kind: 'text',
          text: { channel: 'sms', providerId: newSid(), from, to: line.number, text, media: [], optOutHandled: null },
        }),
      ),
    );
    await mkdir(folder);
    await writeFile(join(folder, '1.spool'), Buffer.concat(records));
    const total = people.length * said.length;
    const rows = await until(
      async () => {
        const found = await world.sql<{ their_address: string; said: string[] }[]>`
          select c.their_address, array_agg(m.body order by m.id) as said
          from messages m join conversations c on c.id = m.conversation_id
          where c.our_address = ${line.number} and m.direction = 'in' group by 1`;
        return found.reduce((sum, row) => sum + row.said.length, 0) === total && found;
      },
      { timeoutMs: 30_000, intervalMs: 100 },
    );
    assert.equal(rows.length, people.length);
    for (const row of rows) assert.deepEqual(row.said, said);
  });
});
