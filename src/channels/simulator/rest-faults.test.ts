// What a client of the REST API sees of each fault: on the wire, and as an outcome of our own client.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  ACCOUNT,
  OURS,
  PERSON,
  startLine,
  statusesOf,
  type TestLine,
  TOKEN,
} from '../../../test/support/scripted-customer.ts';
import type { Part } from '../channel.ts';
import { createTwilioChannel, createTwilioDispatcher } from '../twilio/twilio.ts';
import type { FaultPlan } from './faults.ts';

const PART: Part = {
  id: '01990000-0000-7000-8000-000000000002',
  channel: 'sms',
  from: OURS,
  to: PERSON,
  text: 'x',
  mediaUrls: [],
  validitySeconds: 600,
};

let line: TestLine;

beforeEach(async () => {
  line = await startLine();
});
afterEach(() => line.stop());

/** Sends once with our own client, patient for `ms`. */
async function sendOurs(ms: number) {
  const { simulator } = line;
  const timeouts = { connectMs: 1000, headersMs: ms, bodyMs: ms };
  const http = createTwilioDispatcher(simulator.url, timeouts);
  const channel = createTwilioChannel({
    accountSid: ACCOUNT,
    authTokens: [TOKEN],
    publicUrl: line.receiver.url,
    apiUrl: simulator.url,
    messagingServiceSid: null,
    ourNumbers: () => new Set([OURS]),
    http,
    mediaHttp: http,
    timeouts,
  });
  try {
    return (await channel.send(PART, new AbortController().signal)).outcome;
  } finally {
    await http.destroy();
  }
}

/** What went wrong with a call that must not succeed; `cause` has the code of the connection's failure. */
async function failureOf(call: Promise<Response>): Promise<string> {
  const answer = await call.then((response) => response.json()).catch((thrown: Error) => thrown);
  assert.ok(answer instanceof Error, 'there was an answer');
  const cause = answer.cause as { code?: string } | undefined;
  return cause?.code ?? answer.name;
}

/** Before accepting, after it, and what our client makes of each. */
const CASES: [fault: FaultPlan, accepted: boolean, outcome: 'accepted' | 'refused' | 'unknown', code?: string][] = [
  [{ http401: 1 }, false, 'refused', '20003'],
  [{ http429: 1 }, false, 'refused', '20429'],
  [{ http500BeforeAccept: 1 }, false, 'unknown'],
  [{ http500BeforeAccept: { status: 503 } }, false, 'unknown'],
  [{ hangBeforeAccept: 1 }, false, 'unknown'],
  [{ cutBeforeAccept: 1 }, false, 'unknown'],
  [{ refuseWith: { code: 21_610 } }, false, 'refused', '21610'],
  [{ refuseWith: { code: 21_211 } }, false, 'refused', '21211'],
  [{ refuseWith: { code: 21_408 } }, false, 'refused', '21408'],
  [{ refuseWith: { code: 21_611 } }, false, 'refused', '21611'],
  [{ refuseWith: { code: 21_612 } }, false, 'refused', '21612'],
  [{ refuseWith: { code: 21_614 } }, false, 'refused', '21614'],
  [{ refuseWith: { code: 30_410 } }, false, 'unknown'],
  [{ refuseWith: { code: 30_410, accepted: true } }, true, 'unknown'],
  [{ http500AfterAccept: 1 }, true, 'unknown'],
  [{ http500AfterAccept: { status: 503 } }, true, 'unknown'],
  [{ hangAfterAccept: 1 }, true, 'unknown'],
  [{ cutAfterAccept: 1 }, true, 'unknown'],
  [{ cutAnswer: 1 }, true, 'unknown'],
  [{ malformedAnswer: 1 }, true, 'unknown'],
  [{ slowAnswer: { overMs: 60_000 } }, true, 'unknown'],
  [{ slowAnswer: { overMs: 10 } }, true, 'accepted'],
  [{ earlyCallbacks: 1 }, true, 'accepted'],
  [{ lateInList: 1 }, true, 'accepted'],
];

describe('our client', () => {
  for (const [plan, accepted, kind, code] of CASES) {
    const name = JSON.stringify(plan);
    test(`calls ${name} ${kind}; ${accepted ? 'the message reaches the phone once' : 'nothing is sent'}`, async () => {
      const { simulator } = line;
      simulator.faults.set(plan);
      const outcome = await sendOurs(300);
      assert.equal(outcome.kind, kind);
      if (code !== undefined) assert.equal(outcome.kind === 'refused' && outcome.code, code);
      const [entry, ...others] = simulator.history.of('create');
      assert.deepEqual(others, []);
      assert.equal(entry?.fault, Object.keys(plan)[0] === 'lateInList' ? null : Object.keys(plan)[0]);
      assert.deepEqual([entry?.sid !== null, entry?.partId], [accepted, PART.id]);
      if (accepted) await simulator.person(PERSON).next();
      assert.equal(simulator.messages().length, accepted ? 1 : 0);
      assert.ok(Object.values(simulator.faults.pending()).every((left) => left === 0));
    });
  }
});

describe('on the wire', () => {
  test('a 429 says when to come back, or does not', async () => {
    const { create, simulator } = line;
    simulator.faults.set({ http429: [{ retryAfterSeconds: 7 }, { retryAfterSeconds: null }] });
    const [first, second] = [await create(), await create()];
    assert.deepEqual([first.status, first.headers.get('retry-after')], [429, '7']);
    assert.deepEqual([second.status, second.headers.get('retry-after')], [429, null]);
    assert.equal((await create()).status, 201);
  });

  test('a server error has the status that was asked for', async () => {
    line.simulator.faults.set({ http500BeforeAccept: { status: 503 } });
    const answer = await line.create();
    assert.equal(answer.status, 503);
    assert.deepEqual(await answer.json(), {
      code: 20_500,
      message: 'Internal Server Error',
      more_info: 'https://www.twilio.com/docs/errors/20500',
      status: 503,
    });
  });

  test('a connection that is cut gives no answer, one that is cut inside it half of it', async () => {
    const { create, simulator } = line;
    simulator.faults.set({ cutBeforeAccept: 1 });
    assert.equal(await failureOf(create()), 'UND_ERR_SOCKET');
    simulator.faults.set({ cutAnswer: 1 });
    const answer = await create();
    assert.equal(answer.status, 201);
    assert.equal(await failureOf(Promise.resolve(answer)), 'UND_ERR_SOCKET');
    assert.deepEqual(
      simulator.history.of('create').map(({ answered }) => answered),
      [null, null],
    );
  });

  test('a hang lasts until the client leaves, or until its time is over', async () => {
    const { create, simulator } = line;
    simulator.faults.set({ hangAfterAccept: [{}, { hangMs: 20 }] });
    assert.equal(await failureOf(create({}, AbortSignal.timeout(100))), 'TimeoutError');
    assert.equal(await failureOf(create()), 'UND_ERR_SOCKET');
    assert.equal(simulator.messages().length, 2);
  });

  test('an answer drips in, whole in the end', async () => {
    line.simulator.faults.set({ slowAnswer: { overMs: 50 } });
    const answer = await line.create();
    let chunks = 0;
    let text = '';
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      chunks += 1;
      text += chunk;
    }
    assert.ok(chunks > 1, `${chunks} chunk`);
    assert.equal((JSON.parse(text) as { status: string }).status, 'queued');
    assert.equal(line.simulator.history.of('create')[0]?.answered, 201);
  });

  test('a broken answer is a 200 that is no JSON', async () => {
    line.simulator.faults.set({ malformedAnswer: 1 });
    const answer = await line.create();
    assert.equal(answer.status, 200);
    await assert.rejects(answer.json(), SyntaxError);
  });

  test('callbacks can all come before the answer', async () => {
    line.simulator.faults.set({ earlyCallbacks: 1 });
    const answer = await line.create();
    assert.deepEqual(statusesOf(line.receiver.hits), ['queued', 'sent', 'delivered']);
    assert.equal(((await answer.json()) as { status: string }).status, 'queued');
  });

  test('nobody listens for a while; a second call finds the carrier again', async () => {
    const { create, simulator } = line;
    await create();
    simulator.faults.set({ refuseConnections: 1 });
    // A connection that is kept for the next call notices its end on that call.
    const failures = [await failureOf(create()), await failureOf(create())];
    assert.equal(failures[1], 'ECONNREFUSED');
    const outcome = await sendOurs(300);
    assert.deepEqual([outcome.kind, outcome.kind === 'refused' && outcome.retry], ['refused', 'later']);
    simulator.faults.set({ refuseConnections: { forMs: 50 } });
    while (simulator.faults.pending().refuseConnections > 0) assert.equal(await failureOf(create()), 'ECONNREFUSED');
    const deadline = AbortSignal.timeout(5000);
    let status = 0;
    while (status !== 201 && !deadline.aborted)
      status = await create().then(
        (answer) => answer.status,
        () => 0,
      );
    assert.equal(status, 201);
  });
});

describe('looking a message up', () => {
  test('fails on demand', async () => {
    const { get, simulator } = line;
    simulator.faults.set({ http500OnLookup: [{ count: 1 }, { status: 429 }] });
    assert.equal((await get('Messages.json')).status, 500);
    assert.equal((await get('Messages.json')).status, 429);
    assert.equal((await get('Messages.json')).status, 200);
  });

  test('does not find a message that is late in the list, then does', async () => {
    const { create, get, simulator } = line;
    const listed = async () => {
      const { messages } = (await (await get('Messages.json')).json()) as { messages: { sid: string }[] };
      return messages.map(({ sid }) => sid);
    };
    const sidOf = async (answer: Response) => ((await answer.json()) as { sid: string }).sid;
    simulator.faults.set({ lateInList: [{ delayMs: 60_000 }, { delayMs: 20 }] });
    const hidden = await sidOf(await create());
    const late = await sidOf(await create());
    const deadline = AbortSignal.timeout(5000);
    while (!(await listed()).includes(late)) assert.ok(!deadline.aborted);
    assert.deepEqual(await listed(), [late]);
    assert.equal((await get(`Messages/${hidden}.json`)).status, 404);
    assert.equal((await get(`Messages/${late}.json`)).status, 200);
  });
});

test('a full queue is refused for a sender, and fails later in a service', async () => {
  const paced = await startLine({ pacing: 'carrier', statusDelaysMs: { sent: 0, delivered: 0 } });
  try {
    const service = { MessagingServiceSid: `MG${'0'.repeat(32)}` };
    const long = 'x'.repeat(1600);
    // 11 segments each at one a second: 3,273 fill ten hours.
    for (let sent = 0; sent < 3_273; sent += 50) {
      await Promise.all(Array.from({ length: 50 }, () => paced.create({ Body: long, StatusCallback: '' })));
    }
    const refused = await paced.create();
    assert.equal(((await refused.json()) as { code: number }).code, 21_611);
    assert.equal((await paced.create(service)).status, 201);
    const hits = await paced.receiver.waitFor(2);
    assert.deepEqual(statusesOf(hits), ['queued', 'failed']);
    assert.equal(hits[1]?.form.ErrorCode, '30001');
  } finally {
    await paced.stop();
  }
});
