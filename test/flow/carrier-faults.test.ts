// One text, one answer, whatever the carrier does to the one or the other.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { FaultName } from '../../src/channels/simulator/faults.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

/** Each fault that an exchange survives without anybody looking the message up later. */
const CASES: readonly [fault: FaultName, details: Record<string, unknown>][] = [
  ['duplicateWebhooks', { copies: 3 }],
  ['duplicateWebhooks', { delayMs: 50 }],
  ['lateWebhooks', { delayMs: 50 }],
  ['http429', {}],
  ['earlyCallbacks', {}],
  ['http500AfterAccept', { status: 503 }],
  ['hangAfterAccept', { hangMs: 300 }],
  ['cutAfterAccept', {}],
  ['cutAnswer', {}],
  ['slowAnswer', { overMs: 200 }],
  ['malformedAnswer', {}],
  ['duplicateCallbacks', {}],
  ['missingCallbacks', { state: 'sent' }],
  ['reorderedCallbacks', {}],
  ['lateCallbacks', { delayMs: 100 }],
  ['unknownCallbacks', {}],
  ['foreignCallbacks', {}],
];

describe('an exchange', () => {
  let world: World;

  before(async () => {
    world = await startWorld();
  });
  afterEach(() => world.simulator.faults.clear());
  after(() => world.stop());

  for (const [fault, details] of CASES) {
    test(`survives ${fault} ${JSON.stringify(details)}`, async () => {
      const { simulator } = world;
      const line = await world.line();
      const agent = await line.agent((payload) => `you said ${payload.message}`);
      const person = line.person();
      const isOfText = fault.endsWith('Webhooks');
      simulator.faults.set({ [fault]: { count: 1, match: { [isOfText ? 'from' : 'to']: person.phone }, ...details } });
      const text = await person.text('hello');
      assert.equal(text.status, 200);
      assert.equal((await person.next()).body, 'you said hello');
      // Settled by its callback a text may be delivered while its send still waits for an answer, and while a copy of
      // the webhook is still to come: what they do is part of the story.
      const sends = fault === 'http429' ? 2 : 1;
      const isSend = ({ kind }: { kind?: string }) => kind === 'send';
      await until(async () => (await line.story(person)).exchanges.filter(isSend).length === sends, {
        what: 'all sends',
      });
      const posts = 1 + (fault === 'duplicateWebhooks' ? Number(details.copies ?? 1) : 0);
      await until(() => simulator.history.of('webhook').filter(({ sid }) => sid === text.sid).length === posts);
      const { messages, turns, parts } = await line.story(person);
      assert.equal(simulator.faults.pending()[fault], 0, 'the fault happened');
      assert.deepEqual(
        [messages.length, turns.length, agent.calls.length],
        [2, 1, 1],
        'one text and one answer, one turn, one call',
      );
      assert.deepEqual(
        parts.map(({ state }) => state),
        ['delivered'],
      );
      const taken = simulator.history.of('create').filter(({ to, sid }) => to === person.phone && sid !== null);
      assert.deepEqual(
        taken.map(({ partId, body }) => [partId, body]),
        [[parts[0]!.id, 'you said hello']],
      );
      assert.equal(person.texts().length, 1);
    });
  }

  test('goes on when nobody listened at the carrier for a while', async () => {
    const { simulator } = world;
    const line = await world.line();
    await line.agent(() => 'here you are');
    const person = line.person();
    simulator.faults.set({ refuseConnections: 1 });
    assert.equal((await person.text('hello')).status, 200);
    // The outage lasts until a send has failed in it.
    const { id } = await line.conversation(person);
    const failed = () =>
      world.sql`select 1 from outbound_parts where conversation_id = ${id} and state = 'queued' and attempts > 0`;
    await until(async () => (await failed()).length > 0, { what: 'a send that found nobody' });
    simulator.faults.set({ refuseConnections: 0 });
    assert.equal((await person.next()).body, 'here you are');
    await line.story(person);
    assert.equal(person.texts().length, 1);
  });
});
