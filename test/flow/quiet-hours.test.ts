// Nobody is woken up: by programs and agents alike, over MCP and over /v1.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { allowRecipient } from '../../src/accounts/recipients.ts';
import { connectMcp, mcpProgram } from '../support/mcp-client.ts';
import { startWorld, type World } from '../support/world.ts';

/** A zone in which it is now about this hour. */
const zoneWhere = (hour: number) => {
  const offset = ((hour - new Date().getUTCHours() + 36) % 24) - 12;
  // POSIX signs: Etc/GMT-5 is five hours ahead.
  return offset === 0 ? 'UTC' : `Etc/GMT${offset > 0 ? '-' : '+'}${Math.abs(offset)}`;
};

describe('quiet hours', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
    // Noon for everybody, at whatever hour this runs; whose night it should be lives elsewhere.
    await world.sql`update program_limits set quiet_from = '21:00', quiet_until = '08:00', time_zone = ${zoneWhere(12)}`;
  });
  after(() => world.stop());

  const allow = (address: string, timeZone: string | null = null) =>
    allowRecipient(world.database.pools.admin, { address, key: null, consent: 'asked for it', timeZone });

  /** A number of ours, and a program for whom it is night. */
  async function byNight() {
    const line = await world.line();
    await line.agent(() => 'Answer.');
    const program = await mcpProgram(world, ['send', 'reply']);
    const limits = { api_key_id: program.id, quiet_from: '21:00', quiet_until: '08:00', time_zone: zoneWhere(2) };
    await world.sql`insert into program_limits ${world.sql(limits)}`;
    return { line, program };
  }

  /** As if what the person of a conversation has said had been said two hours ago. */
  const textedHoursAgo = (conversationId: string) => world.sql`
    update messages set id = overlay(id_at(now() - interval '2 hours')::text placing substr(id::text, 15) from 15)::uuid
    where conversation_id = ${conversationId} and direction = 'in'`;

  test('nobody is texted at night where they live, and the answer says when they may be', async () => {
    const { line, program } = await byNight();
    const bob = line.person();
    await allow(bob.phone);
    const send = () => program.tool('send_sms', { to: bob.phone, text: 'Your table is ready.', from: line.number });
    const { error } = await send();
    assert.deepEqual([error.code, error.type], ['quiet_hours', 'rate_limit']);
    const [, at] = /after (\S+Z)/.exec(error.message) ?? [];
    const hours = (Date.parse(at!) - Date.now()) / 3_600_000;
    assert.ok(hours > 4 && hours < 7, `${hours} h until eight`);
    const queued = await world.sql`
      select 1 from outbound_parts p join conversations c on c.id = p.conversation_id where c.their_address = ${bob.phone}`;
    assert.equal(queued.length, 0);
    // Theirs is what counts, and there it is noon.
    await allow(bob.phone, zoneWhere(12));
    assert.equal((await send()).error, null);
  });

  test('who has just texted is answered at any hour; an hour later it is night for them too', async () => {
    const { line, program } = await byNight();
    const ann = line.person();
    await ann.text('hello');
    await ann.next();
    const { id } = await line.conversation(ann);
    const reply = () => program.tool('reply', { conversation_id: id, text: 'And good night.' });
    assert.equal((await reply()).error, null);
    await ann.next();
    await textedHoursAgo(id);
    assert.equal((await reply()).error.code, 'quiet_hours');
  });

  test('an agent does not wake anybody up either, at whichever door', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'Answer.');
    const ann = line.person();
    await ann.text('hello');
    await ann.next();
    const { id } = await line.conversation(ann);
    await allow(ann.phone, zoneWhere(2));
    const mcp = await connectMcp(world.urls.gateway!, agent.apiKey);
    const send = (text: string, idempotency_key?: string) =>
      mcp.tool('send_sms', { conversation_id: id, text, idempotency_key });
    assert.equal((await send('You asked to be told.', 'told')).error, null, 'who has just texted is awake');
    await ann.next();
    await textedHoursAgo(id);
    assert.equal((await send('Awake?')).error.code, 'quiet_hours');
    const posted = await agent.post(id, { text: 'Awake?' });
    assert.deepEqual([posted.status, posted.json.error?.code], [429, 'quiet_hours']);
    assert.equal((await send('You asked to be told.', 'told')).data.repeated, true, 'a repeat hears what became of it');
    assert.equal((await mcp.tool('reply', { conversation_id: id, text: 'Awake?' })).error.code, 'quiet_hours');
    const [session] = await world.sql`select proactive_left from agent_sessions where conversation_id = ${id}`;
    assert.equal(session!.proactive_left, 19, 'nothing was charged');
    assert.equal(ann.texts().length, 2);
    await allow(ann.phone, zoneWhere(12));
    assert.equal((await agent.post(id, { text: 'Awake?' })).status, 201);
  });

  test('what an agent was asked it may answer at any hour', async () => {
    const line = await world.line();
    const agent = await line.agent(() => ({ status: 202 }));
    const ann = line.person();
    await ann.text('think about it');
    await line.story(ann);
    const { id } = await line.conversation(ann);
    await allow(ann.phone, zoneWhere(2));
    await textedHoursAgo(id);
    const answer = await agent.post(id, { text: 'Done.', in_reply_to: agent.calls[0]!.messageId });
    assert.equal(answer.status, 201);
  });
});
