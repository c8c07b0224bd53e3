// People choose who answers them, and keep their conversation.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HANG } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

describe('choosing an agent', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  /** A line with two agents of its own type and one of another. */
  async function lineOfTwo(settings = {}) {
    const line = await world.line(settings);
    const ada = await line.agent(({ message }) => `Ada heard ${message}`, { name: 'Ada' });
    const grace = await line.agent(({ message }) => `Grace heard ${message}`, { name: 'Grace Hopper' });
    return { line, ada, grace };
  }

  /** Waits until the gateway has read the words of a number. */
  async function withWords(number: string, keywords: object): Promise<void> {
    await world.sql`update phone_numbers set keywords = ${world.sql.json(keywords as never)} where address = ${number}`;
    const reading = '%from phone_numbers where is_active%';
    const [row] = await world.sql<{ now: Date }[]>`select clock_timestamp() as now`;
    await until(
      () =>
        world.sql`
          select 1 from pg_stat_activity
          where datname = current_database() and query like ${reading} and query_start > ${row!.now} and state = 'idle'
            and pid <> pg_backend_pid()`.then((rows) => rows.length),
      { what: 'a gateway that reads its numbers', timeoutMs: 15_000 },
    );
  }

  test('AGENTS lists who can answer, USE and a name switches, and what was said before stays', async () => {
    const { line, ada, grace } = await lineOfTwo();
    const person = line.person();
    await person.text('my name is Sam');
    const first = await person.next();
    const [before, other] = first.body.startsWith('Ada') ? [ada, grace] : [grace, ada];
    const [mine, name] = before === ada ? ['Ada', 'grace hopper'] : ['Grace Hopper', 'ada'];
    await person.text('agents');
    const list = await person.next((text) => text.body.includes('You can text'));
    assert.ok(
      ['Ada', 'Grace Hopper', `${mine} answers you now`].every((part) => list.body.includes(part)),
      list.body,
    );
    await person.text(`Use ${name}`);
    await person.next((text) => /from now on/.test(text.body));
    await person.text('who am I?');
    await person.next((text) => text.body.endsWith('heard who am I?'));
    assert.deepEqual([before.heard(), other.heard()], [['my name is Sam'], ['who am I?']]);
    assert.deepEqual(
      other.calls[0]!.payload.conversation_history.map((entry) => entry.content),
      ['my name is Sam', first.body],
    );
    const { sessions, messages } = await line.story(person);
    assert.deepEqual(
      sessions.map((session) => [session.agent_id, session.failovers]),
      [[other.id, 0]],
    );
    assert.deepEqual(messages.map((message) => message.kind).filter((kind) => kind === 'keyword').length, 2);
  });

  test('a choice before the first text counts, and one during an answer is not overruled by it', async () => {
    const { line, ada, grace } = await lineOfTwo();
    const person = line.person();
    await person.text('use ada');
    await person.next((text) => /You are texting Ada/.test(text.body));
    const hold = Promise.withResolvers<string>();
    ada.behave(() => hold.promise);
    await person.text('one');
    await until(() => ada.calls[0]);
    await person.text('use grace hopper');
    await person.next((text) => /You are texting Grace Hopper/.test(text.body));
    hold.resolve('late Ada');
    await person.next((text) => text.body === 'late Ada');
    await person.text('two');
    await person.next((text) => text.body === 'Grace heard two');
    assert.deepEqual(grace.heard(), ['two']);
    assert.deepEqual((await world.sql`select 1 from session_failovers where new_agent = ${grace.id}`).length, 0);
  });

  test('a choice during the last answer of a session counts for the next text, also after RESET', async () => {
    const { line, ada, grace } = await lineOfTwo();
    for (const words of [['use grace hopper'], ['reset', 'use grace hopper'], ['use ada']]) {
      const person = line.person();
      await person.text('use ada');
      await person.next((text) => /You are texting Ada/.test(text.body));
      const hold = Promise.withResolvers<{ text: string; endSession: boolean }>();
      ada.behave(({ message }) => (message === 'one' ? hold.promise : `Ada heard ${message}`));
      const calls = ada.calls.length;
      await person.text('one');
      await until(() => ada.calls.length > calls);
      for (const word of words) {
        await person.text(word);
        await person.next((text) => (word === 'reset' ? /start over/ : /You are texting/).test(text.body));
      }
      hold.resolve({ text: 'goodbye', endSession: true });
      await person.next((text) => text.body === 'goodbye');
      // Whoever has not been chosen has the better score.
      const [chosen, other] = words.at(-1) === 'use ada' ? [ada, grace] : [grace, ada];
      await world.sql`update agent_registry set health_score = 75 where id = ${chosen.id}`;
      await world.sql`update agent_registry set health_score = 100 where id = ${other.id}`;
      await person.text('two');
      await person.next((text) => / heard two$/.test(text.body));
      assert.equal(chosen.calls.at(-1)?.text, 'two', `${words}: somebody else answered`);
      const { sessions } = await line.story(person);
      assert.deepEqual(
        sessions.filter(({ is_active }) => is_active).map(({ agent_id }) => agent_id),
        [chosen.id],
      );
    }
  });

  test('a text that waits when an agent is chosen belongs to what that agent is told later', async () => {
    const { line, ada } = await lineOfTwo({ quiet_ms: 2000 });
    const person = line.person();
    await person.text('my name is Sam');
    await person.text('use ada');
    const first = await person.next((text) => text.body === 'Ada heard my name is Sam');
    await person.text('who am I?');
    await person.next((text) => text.body === 'Ada heard who am I?');
    assert.deepEqual(
      ada.calls[1]!.payload.conversation_history.map((entry) => entry.content),
      ['my name is Sam', first.body],
    );
  });

  test('where there is nobody to choose, the same words are texts for the agent', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => `heard ${message}`, { name: 'Only' });
    const person = line.person();
    for (const body of ['agents', 'use my card']) {
      await person.text(body);
      await person.next((text) => text.body === `heard ${body}`);
    }
    const { line: two, ada, grace } = await lineOfTwo();
    const other = two.person();
    await other.text('use my card');
    await other.next((text) => text.body.endsWith('heard use my card'));
    assert.equal(agent.calls.length, 2);
    assert.equal(ada.calls.length + grace.calls.length, 1);
  });

  test('a word of the number leads to another type, failover stays in it, and STOP stays STOP', async () => {
    const { line, ada, grace } = await lineOfTwo({ required_capabilities: ['x'] });
    const salesType = `sales-${line.number}`;
    const seller = await world.agent(({ message }) => `Sold ${message}`, { type: salesType, name: 'Seller' });
    await withWords(line.number, { SALES: { type: salesType }, STOP: { type: salesType } });
    const person = line.person();
    await person.text('Sales!');
    await person.next((text) => /from now on/.test(text.body));
    await person.text('a boat');
    await person.next((text) => text.body === 'Sold a boat');
    const second = await world.agent(({ message }) => `Also sold ${message}`, { type: salesType, name: 'Second' });
    seller.behave(() => HANG);
    await seller.down();
    await person.text('a car');
    await person.next((text) => text.body === 'Also sold a car');
    assert.equal(ada.calls.length + grace.calls.length, 0);
    const moved =
      await world.sql`select old_agent, new_agent, reason from session_failovers where old_agent = ${seller.id}`;
    assert.deepEqual(
      moved.map((row) => ({ ...row })),
      [{ old_agent: seller.id, new_agent: second.id, reason: 'agent_refused' }],
    );
    await person.text('stop');
    await person.next((text) => /unsubscribed/.test(text.body));
    // And whoever has stopped hears nothing of agents either.
    await person.text('agents');
    await line.story(person);
    assert.ok(!person.texts().some((text) => /You can text/.test(text.body)));
  });

  test('a word said during an answer is not overruled by it, and nobody counts as having failed', async () => {
    const { line, ada, grace } = await lineOfTwo();
    const salesType = `sales-${line.number}`;
    const seller = await world.agent(({ message }) => `Sold ${message}`, { type: salesType, name: 'Seller' });
    await withWords(line.number, { SALES: { type: salesType } });
    for (const isFirst of [true, false]) {
      const person = line.person();
      if (!isFirst) {
        await person.text('before');
        await person.next((text) => text.body.endsWith('heard before'));
      }
      const hold = Promise.withResolvers<string>();
      for (const agent of [ada, grace])
        agent.behave(({ message }) => (message === 'one' ? hold.promise : `heard ${message}`));
      const calls = ada.calls.length + grace.calls.length;
      await person.text('one');
      await until(() => ada.calls.length + grace.calls.length > calls);
      await person.text('sales');
      await person.next((text) => /from now on/.test(text.body));
      hold.resolve('late');
      await person.next((text) => text.body === 'late');
      await person.text('a boat');
      await person.next((text) => text.body === 'Sold a boat');
      const { sessions } = await line.story(person);
      assert.deepEqual(
        sessions.map((session) => [session.agent_id, session.agent_type, session.failovers]),
        [[seller.id, salesType, 0]],
      );
    }
    assert.equal((await world.sql`select from session_failovers where new_agent = ${seller.id}`).length, 0);
  });
});
