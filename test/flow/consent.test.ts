// STOP ends everything at once, START brings it back, and each is confirmed exactly once.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Person } from '../../src/channels/simulator/person.ts';
import { HANG } from '../support/scripted-agent.ts';
import { newSid } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

describe('consent', () => {
  let world: World;

  before(async () => {
    world = await startWorld();
  });
  afterEach(() => world.simulator.faults.clear());
  after(() => world.stop());

  const bodies = (person: Person) => person.texts().map((text) => text.body);
  const confirmations = (person: Person) => bodies(person).filter((body) => /unsubscribed/i.test(body));

  async function consentOf(line: Line, person: Person): Promise<string | null> {
    const [row] = await world.sql<{ state: string }[]>`
      select state from consents where (scope, their_address) = (${line.number}, ${person.phone})`;
    return row?.state ?? null;
  }

  const partsOf = async (line: Line, person: Person) => {
    const { id } = await line.conversation(person);
    const rows = await world.sql<{ kind: string; state: string; error_code: string | null }[]>`
      select kind, state, error_code from outbound_parts where conversation_id = ${id} order by position`;
    return rows.map((row) => ({ ...row }));
  };

  /** True once everything queued has reached its end and no job is left: what was going to be sent has been sent. */
  async function quiet(): Promise<void> {
    await until(
      () =>
        world.sql`
          select 1 where not exists (
              select 1 from outbound_parts where state in ('queued', 'sending', 'unknown', 'accepted', 'sent'))
            and not exists (select 1 from conversations where last_seq > done_seq)
            and not exists (select 1 from turns where state = 'running')`.then((rows) => rows.length),
      { what: 'quiet' },
    );
  }

  test('STOP in the middle of a turn: the agent is hung up on, the turn is cancelled, nothing is sent after', async () => {
    const line = await world.line();
    const agent = await line.agent(() => HANG);
    const person = line.person();
    await person.text('a long question');
    const call = await until(() => agent.calls[0]);
    await person.text('STOP');
    await until(() => call.aborted, { what: 'the hang-up' });
    await person.next((text) => /unsubscribed/.test(text.body));
    await quiet();
    const { id } = await line.conversation(person);
    const turns = await world.sql`select state from turns where conversation_id = ${id}`;
    assert.deepEqual(
      turns.map((turn) => turn.state),
      ['cancelled'],
    );
    assert.equal(person.texts().length, 1);
    assert.equal(agent.calls.length, 1);
  });

  test('an answer that comes after STOP is not sent, also when only we know of the STOP', async () => {
    const line = await world.line();
    const gate = Promise.withResolvers<string>();
    const agent = await line.agent(() => gate.promise);
    const person = line.person();
    await person.text('hello');
    await until(() => agent.calls[0]);
    await person.text('Stop.');
    gate.resolve('too late');
    await person.next((text) => /unsubscribed/.test(text.body));
    await quiet();
    assert.equal(person.texts().length, 1);
    assert.deepEqual(
      (await partsOf(line, person)).map((part) => part.kind),
      ['notice'],
    );
  });

  test('STOP voids what is still queued', async () => {
    const line = await world.line({ max_segments: 40 });
    await line.agent(() => 'word '.repeat(700));
    const person = line.person();
    // The carrier refuses for a while, so that the parts are still here when STOP comes.
    world.simulator.faults.set({ http429: 1000 });
    await person.text('tell me everything');
    await until(async () => (await partsOf(line, person)).length > 1);
    await until(() => world.simulator.faults.pending().http429 < 1000);
    await person.text('STOP');
    world.simulator.faults.clear();
    await quiet();
    const states = (await partsOf(line, person)).map((part) => `${part.state} ${part.error_code}`);
    assert.deepEqual([...new Set(states)], ['void opted_out']);
    assert.equal(confirmations(person).length, 1);
    assert.equal(person.texts().length, 1);
  });

  test('texts while opted out are kept and not answered; after START they are answered again', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => `You said ${message}`);
    const person = line.person();
    await person.text('STOP');
    assert.equal((await person.text('hello?')).status, 200);
    const { id } = await line.conversation(person);
    const [kept] = await world.sql`select refused from messages where conversation_id = ${id} and body = 'hello?'`;
    assert.equal(kept?.refused, 'opted_out');
    await person.text('START');
    await person.text('hello again');
    await person.next((text) => text.body === 'You said hello again');
    assert.deepEqual(agent.heard(), ['hello again']);
    assert.equal(await consentOf(line, person), 'in');
  });

  for (const word of ['STOP', 'stop', 'StopAll', 'unsubscribe', 'Cancel', 'END', 'quit', 'REVOKE', 'OptOut']) {
    test(`"${word}" is confirmed once, by the carrier`, async () => {
      const line = await world.line();
      const person = line.person();
      await person.text(word);
      await person.next((text) => /unsubscribed/.test(text.body));
      await quiet();
      assert.equal(await consentOf(line, person), 'out');
      assert.equal(person.texts().length, 1);
      assert.equal(person.texts()[0]?.direction, 'outbound-reply');
      assert.deepEqual(await partsOf(line, person), []);
    });
  }

  for (const word of ['Stop.', ' STOP! ', 'opt-out', 'stop all', 'ARRÊT', '“stop”']) {
    test(`"${word}", which the carrier does not know, is confirmed once, by us`, async () => {
      const line = await world.line();
      const agent = await line.agent(() => 'an answer');
      const person = line.person();
      await person.text(word);
      await person.next((text) => /unsubscribed/.test(text.body));
      await quiet();
      assert.equal(await consentOf(line, person), 'out');
      assert.equal(person.texts().length, 1);
      assert.equal(person.texts()[0]?.direction, 'outbound-api');
      assert.equal(agent.calls.length, 0);
    });
  }

  test('"please stop" is a text for the agent', async () => {
    const line = await world.line();
    await line.agent(({ message }) => `You said ${message}`);
    const person = line.person();
    await person.text('please stop');
    assert.equal((await person.next()).body, 'You said please stop');
    assert.equal(await consentOf(line, person), null);
  });

  test('HELP is answered once: by the carrier as it is, by us when the carrier does not know the spelling', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'an answer');
    const person = line.person();
    await person.text('HELP');
    assert.equal((await person.next()).direction, 'outbound-reply');
    await person.text('Help!');
    const ours = await person.next();
    assert.deepEqual([ours.direction, /STOP/.test(ours.body)], ['outbound-api', true]);
    await quiet();
    assert.equal(person.texts().length, 2);
    assert.equal(agent.calls.length, 0);
  });

  test('who opted out still gets help, and nothing else', async () => {
    const line = await world.line();
    const person = line.person();
    await person.text('Stop.');
    await person.next();
    await person.text('Help?');
    assert.match((await person.next()).body, /START/);
    assert.equal(await consentOf(line, person), 'out');
  });

  test('a carrier that says it has answered the keyword (OptOutType) is believed, whatever the words', async () => {
    const line = await world.line();
    const person = line.person();
    const post = (Body: string, OptOutType: string) =>
      world.signedPost(
        '/webhooks/twilio/messages',
        world.form({ From: person.phone, To: line.number, Body, OptOutType }),
      );
    assert.equal((await post('adios', 'STOP')).status, 200);
    assert.equal(await consentOf(line, person), 'out');
    assert.equal((await post('hola', 'START')).status, 200);
    assert.equal(await consentOf(line, person), 'in');
    assert.equal((await post('ayuda', 'HELP')).status, 200);
    assert.deepEqual(await partsOf(line, person), []);
  });

  test('YES brings back who opted out, and is an answer from everybody else', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => `You said ${message}`);
    const person = line.person();
    await person.text('YES');
    assert.equal((await person.next()).body, 'You said YES');
    await person.text('Stop.');
    await person.next();
    await person.text('Yes!');
    assert.match((await person.next()).body, /welcome back/i);
    assert.equal(await consentOf(line, person), 'in');
    assert.deepEqual(agent.heard(), ['YES']);
  });

  for (const [first, second] of [
    ['STOP', 'STOP'],
    ['Stop.', 'Stop.'],
    ['STOP', 'Stop.'],
  ] as const) {
    test(`"${first}" and then "${second}" is confirmed once`, async () => {
      const line = await world.line();
      const person = line.person();
      await person.text(first);
      await person.next();
      await person.text(second);
      await quiet();
      assert.equal(person.texts().length, 1);
      assert.equal(await consentOf(line, person), 'out');
    });
  }

  test('STOP of somebody we have never heard of is an opt-out', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'an answer');
    const person = line.person();
    assert.equal((await person.text('STOP')).status, 200);
    assert.equal(await consentOf(line, person), 'out');
    await person.text('hello');
    await quiet();
    assert.equal(agent.calls.length, 0);
    assert.equal(person.texts().length, 1);
  });

  test('a STOP delivered twice is one STOP', async () => {
    const line = await world.line();
    const person = line.person();
    world.simulator.faults.set({ duplicateWebhooks: 1 });
    await person.text('Stop.');
    await person.next();
    await quiet();
    const { id } = await line.conversation(person);
    const stored = await world.sql`select id from messages where conversation_id = ${id} and direction = 'in'`;
    assert.equal(stored.length, 1);
    assert.equal(person.texts().length, 1);
  });

  test('an old STOP delivered again after START does not opt out again', async () => {
    const line = await world.line();
    const person = line.person();
    const form = world.form({ From: person.phone, To: line.number, Body: 'STOP', MessageSid: newSid() });
    const stop = () => world.signedPost('/webhooks/twilio/messages', form);
    await stop();
    await person.text('Start!');
    await stop();
    assert.equal(await consentOf(line, person), 'in');
  });

  test('STOP to one of our numbers leaves the others alone', async () => {
    const [one, other] = [await world.line(), await world.line()];
    await other.agent(() => 'still here');
    const person = one.person();
    await person.text('STOP');
    const elsewhere = other.person(person.phone);
    await elsewhere.text('hello');
    await person.next((text) => text.body === 'still here');
  });

  test('on WhatsApp, where no carrier answers keywords, we confirm', async () => {
    const line = await world.line();
    const phone = world.newPhone();
    const fields = world.form({ From: `whatsapp:${phone}`, To: `whatsapp:${line.number}`, Body: 'STOP' });
    assert.equal((await world.signedPost('/webhooks/twilio/messages', fields)).status, 200);
    const [consent] = await world.sql`
      select state from consents where channel = 'whatsapp' and their_address = ${phone}`;
    assert.equal(consent?.state, 'out');
    assert.deepEqual(
      (await partsOf(line, { phone } as Person)).map((part) => part.kind),
      ['notice'],
    );
  });
});
