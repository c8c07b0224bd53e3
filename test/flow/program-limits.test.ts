// What bounds texts of programs where two look at once, the clock jumps, or a call is repeated later.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { allowRecipient } from '../../src/accounts/recipients.ts';
import { connectMcp, mcpProgram } from '../support/mcp-client.ts';
import { startWorld, type World } from '../support/world.ts';

describe('limits of programs', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('two keys at once, from two processes and two of our numbers, text a person no oftener than one may', async () => {
    const [one, two] = [await world.line(), await world.line()];
    const phone = world.newPhone();
    await allowRecipient(world.database.pools.admin, { address: phone, key: null, consent: 'asked', timeZone: null });
    const apart = await world.runtime(['gateway'], { PORT: '0', PUBLIC_URL: 'http://localhost:0' });
    const here = await mcpProgram(world, ['send']);
    const there = await connectMcp(apart.urls.gateway!, (await mcpProgram(world, ['send'])).key);
    await world.sql`update program_limits set texts_per_person = 3 where api_key_id is null`;
    const send = (n: number) => {
      const [mcp, line] = n % 2 === 0 ? [here, one] : [there, two];
      return mcp.tool('send_sms', { to: phone, text: `Text ${n}, STOP ends it.`, from: line.number });
    };
    const told = await Promise.all(Array.from({ length: 12 }, (_, n) => send(n)));
    const refused = told.flatMap(({ error }) => (error === null ? [] : [error.code]));
    assert.deepEqual(refused, Array(9).fill('program_budget_spent'));
    await apart.stop();
  });

  test('a program learns of nobody whom it may not text whether they know us', async () => {
    const line = await world.line();
    await line.agent(() => 'Answer.');
    const ann = line.person();
    await ann.text('hello');
    await ann.next();
    const program = await mcpProgram(world, ['send']);
    for (const to of [ann.phone, world.newPhone()]) {
      const { error } = await program.tool('send_sms', { to, text: 'Hi.' });
      assert.deepEqual([error.code, error.param], ['recipient_not_allowed', undefined]);
    }
  });

  test('an agent that repeats a call by night hears of the text that it sent by day', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'Answer.');
    const ann = line.person();
    await ann.text('hello');
    await ann.next();
    const mcp = await connectMcp(world.urls.gateway!, agent.apiKey);
    const { id } = await line.conversation(ann);
    const say = (text: string, key: string) =>
      mcp.tool('send_sms', { conversation_id: id, text, idempotency_key: key });
    const send = (key: string) => say('A reminder.', key);
    const first = await send('reminder-1');
    // As if hello had been said two hours ago.
    await world.sql`
      update messages set id = overlay(id_at(now() - interval '2 hours')::text placing substr(id::text, 15) from 15)::uuid
      where conversation_id = ${id} and direction = 'in'`;
    await world.sql`
      update program_limits set quiet_from = (now() at time zone time_zone)::time, quiet_until = (now() at time zone time_zone)::time - interval '1 minute'
      where api_key_id is null`;
    assert.equal((await send('reminder-2')).error.code, 'quiet_hours');
    assert.deepEqual((await send('reminder-1')).data, { ...first.data, repeated: true });
    const other = await say('Another.', 'reminder-1');
    assert.equal(other.error.code, 'idempotency_key_reused');
  });

  test('quiet hours end when they say, in every zone, over midnight and when clocks change', async () => {
    // The days around each change of clocks, against hours within a day, over midnight, and in the hour that is there twice or never.
    const wrong = await world.sql`
      with limits(quiet_from, quiet_until) as (values ('21:00'::time, '08:00'::time), ('01:00', '05:00'), ('23:30', '02:30'), ('22:00', '01:30')),
        zones(zone) as (values ('America/New_York'), ('Europe/Berlin'), ('Australia/Lord_Howe'), ('Asia/Kathmandu'), ('Africa/Casablanca'), ('UTC')),
        days(day) as (values ('2026-02-14'::timestamptz), ('2026-03-07'), ('2026-03-21'), ('2026-03-28'), ('2026-04-04'), ('2026-10-03'),
          ('2026-10-24'), ('2026-10-31')),
        times(at) as (select generate_series(day, day + interval '3 days', interval '17 minutes') from days),
        judged as (
          select l.*, z.zone, t.at, quiet_end(t.at, l.quiet_from, l.quiet_until, z.zone) as until,
            is_quiet((t.at at time zone z.zone)::time, l.quiet_from, l.quiet_until) as quiet
          from limits l, zones z, times t)
      select zone, quiet_from, at, until from judged
      where quiet <> (until is not null) or until <= at or until > at + interval '12 hours'
        or is_quiet((until at time zone zone)::time, quiet_from, quiet_until)
      limit 5`;
    assert.deepEqual([...wrong], []);
  });
});
