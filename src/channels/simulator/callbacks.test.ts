// What our status callback sees of each fault, and of each end of a message.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import twilio from 'twilio';
import {
  type Hit,
  PERSON,
  startLine,
  statusesOf,
  type TestLine,
  TOKEN,
} from '../../../test/support/scripted-customer.ts';

let line: TestLine;

beforeEach(async () => {
  line = await startLine();
});
afterEach(() => line.stop());

/** Creates a message; its SID. */
async function create(more: Record<string, string> = {}): Promise<string> {
  const answer = await line.create(more);
  assert.equal(answer.status, 201);
  return ((await answer.json()) as { sid: string }).sid;
}

const authentic = (hit: Hit): boolean =>
  twilio.validateRequest(TOKEN, hit.signature, line.receiver.url + hit.path, hit.form);

describe('faults', () => {
  test('one state alone can be missing', async () => {
    line.simulator.faults.set({ missingCallbacks: { state: 'sent' } });
    await create();
    assert.deepEqual(statusesOf(await line.receiver.waitFor(2)), ['queued', 'delivered']);
  });

  test('the last state alone can be missing', async () => {
    line.simulator.faults.set({ missingCallbacks: { state: 'delivered', match: { to: PERSON } } });
    await create();
    await line.simulator.person(PERSON).next();
    const second = await create();
    const later = await line.receiver.waitFor(3, (hit) => hit.form.MessageSid === second);
    assert.deepEqual(statusesOf(later), ['queued', 'sent', 'delivered']);
    assert.deepEqual(statusesOf(line.receiver.hits.filter((hit) => hit.form.MessageSid !== second)), [
      'queued',
      'sent',
    ]);
  });

  test('delivered can come before sent, and undelivered too', async () => {
    line.simulator.faults.set({ reorderedCallbacks: 2 });
    await create();
    assert.deepEqual(statusesOf(await line.receiver.waitFor(3)), ['queued', 'delivered', 'sent']);
    line.simulator.faults.set({ failWith: { code: 30_005 } });
    const sid = await create();
    const hits = await line.receiver.waitFor(3, (hit) => hit.form.MessageSid === sid);
    assert.deepEqual(statusesOf(hits), ['queued', 'undelivered', 'sent']);
    assert.deepEqual([hits[1]?.form.ErrorCode, hits[2]?.form.ErrorCode], ['30005', undefined]);
  });

  test('late ones come after the phone has the text', async () => {
    line.simulator.faults.set({ lateCallbacks: [{ delayMs: 60_000 }, { delayMs: 20 }] });
    await create({ Body: 'very late' });
    const late = await create({ Body: 'late' });
    await line.simulator.person(PERSON).next(({ body }) => body === 'very late');
    const hits = await line.receiver.waitFor(3);
    assert.deepEqual(statusesOf(hits), ['queued', 'sent', 'delivered']);
    assert.ok(hits.every((hit) => hit.form.MessageSid === late));
  });

  test('one can be for a message that was never sent, with a part of nobody', async () => {
    line.simulator.faults.set({ unknownCallbacks: 1 });
    const sid = await create();
    const [stranger, ...own] = await line.receiver.waitFor(4);
    assert.ok(authentic(stranger!));
    assert.match(stranger!.form.MessageSid!, /^SM[0-9a-f]{32}$/);
    assert.notEqual(stranger!.form.MessageSid, sid);
    assert.match(stranger!.path, /^\/status\?part=[0-9a-f-]{36}$/);
    assert.notEqual(line.receiver.url + stranger!.path, line.statusCallback);
    assert.ok(own.every((hit) => hit.form.MessageSid === sid));
    assert.equal(line.simulator.history.of('callback')[0]?.fault, 'unknownCallbacks');
  });

  test('one can be for another account, signed with our token', async () => {
    line.simulator.faults.set({ foreignCallbacks: 1 });
    const sid = await create();
    const [stranger, next] = await line.receiver.waitFor(4);
    assert.ok(authentic(stranger!));
    assert.equal(stranger!.form.MessageSid, sid);
    assert.match(stranger!.form.AccountSid!, /^AC[0-9a-f]{32}$/);
    assert.notEqual(stranger!.form.AccountSid, next!.form.AccountSid);
  });

  test('one that is not answered 2xx is 11200, and is not repeated', async () => {
    line.receiver.answerWith((hit) => (hit.form.MessageStatus === 'sent' ? 500 : 200));
    await create();
    assert.deepEqual(statusesOf(await line.receiver.waitFor(3)), ['queued', 'sent', 'delivered']);
    assert.deepEqual(
      line.simulator.problems.map(({ code, detail }) => [code, detail]),
      [[11_200, 'status callback: HTTP 500']],
    );
  });
});

describe('the end of a message', () => {
  const ENDS: [code: number, states: string[]][] = [
    ...[30_003, 30_004, 30_005, 30_006, 30_007, 30_008, 30_022, 30_023, 30_034, 30_410].map(
      (code): [number, string[]] => [code, ['queued', 'sent', 'undelivered']],
    ),
    ...[21_610, 30_001, 30_002, 30_036].map((code): [number, string[]] => [code, ['queued', 'failed']]),
  ];
  for (const [code, states] of ENDS) {
    test(`with ${code} is reported ${states.join(', ')}`, async () => {
      line.simulator.faults.set({ failWith: { code, count: 1 } });
      const sid = await create();
      const hits = await line.receiver.waitFor(states.length);
      assert.deepEqual(statusesOf(hits), states);
      assert.equal(hits.at(-1)?.form.ErrorCode, String(code));
      const shown = (await (await line.get(`Messages/${sid}.json`)).json()) as { status: string; error_code: number };
      assert.deepEqual([shown.status, shown.error_code], [states.at(-1), code]);
      assert.deepEqual(line.simulator.person(PERSON).texts(), []);
      const [end] = line.simulator.history.of('end');
      assert.deepEqual([end?.sid, end?.status, end?.errorCode], [sid, states.at(-1), code]);
    });
  }
});

test('the history has everything of one exchange, in the order of the carrier', async () => {
  const { sid } = await line.simulator.text({ from: PERSON, body: 'hello' });
  const created = await create({ Body: 'hi there' });
  await line.receiver.waitFor(4);
  const deadline = AbortSignal.timeout(5000);
  while (line.simulator.history.of('callback').length < 3) {
    assert.ok(!deadline.aborted);
    await new Promise(setImmediate);
  }
  const entries = line.simulator.history.entries();
  assert.deepEqual(
    entries.map(({ n }) => n),
    entries.map((_, index) => index + 1),
  );
  const told = entries.map((entry) => {
    if (entry.kind === 'create')
      return `create ${entry.sid === created} ${entry.body} ${entry.partId} ${entry.answered}`;
    if (entry.kind === 'webhook') return `webhook ${entry.sid === sid} ${entry.status}`;
    if (entry.kind === 'callback') return `callback ${entry.sid === created} ${entry.state} ${entry.status}`;
    return entry.kind === 'end'
      ? `end ${entry.sid === created} ${entry.status}`
      : `text ${entry.sid === sid} ${entry.body}`;
  });
  assert.deepEqual(told.slice(0, 3), [
    'text true hello',
    'webhook true 200',
    'create true hi there 01990000-0000-7000-8000-000000000001 201',
  ]);
  assert.deepEqual(told.slice(3).toSorted(), [
    'callback true delivered 200',
    'callback true queued 200',
    'callback true sent 200',
    'end true delivered',
  ]);
});

test('the history is bounded and says what it forgot', async () => {
  const small = await startLine({ maxHistory: 3 });
  try {
    for (let n = 0; n < 4; n++) await small.simulator.text({ from: PERSON, body: `${n}` });
    const { history } = small.simulator;
    assert.deepEqual(
      history.entries().map(({ n, kind }) => `${n} ${kind}`),
      ['6 webhook', '7 text', '8 webhook'],
    );
    assert.equal(history.forgotten, 5);
  } finally {
    await small.stop();
  }
});
