// The command against a running simulator and a bridge of three lines.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { request } from 'undici';
import { FAULT_NAMES } from '../channels/simulator/fault-request.ts';
import { type Simulator, startSimulator } from '../channels/simulator/simulator.ts';
import { type TextOptions, textCommand } from './text.ts';

const SID = `AC${'1'.repeat(32)}`;
const OURS = '+15550001111';
const PERSON = '+15557770001';

/** A bridge that answers each text with the given parts. */
async function startBridge(partsOf: (body: string) => string[], status = 200) {
  const origin = { simulator: '' };
  const send = async (to: string, body: string): Promise<void> => {
    const answer = await request(`${origin.simulator}/2010-04-01/Accounts/${SID}/Messages.json`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${SID}:token`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ From: OURS, To: to, Body: body }).toString(),
    });
    await answer.body.dump();
  };
  const server = createServer(async (incoming, response) => {
    let form = '';
    for await (const chunk of incoming) form += chunk;
    response.writeHead(status).end();
    const fields = new URLSearchParams(form);
    if (status === 200)
      for (const part of partsOf(fields.get('Body') ?? '')) await send(fields.get('From') ?? '', part);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pointAtSimulator(url: string) {
      origin.simulator = url;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function collector() {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  return { stream, text: () => text };
}

let bridge: Awaited<ReturnType<typeof startBridge>>;
let simulator: Simulator;

async function start(partsOf: (body: string) => string[], status = 200): Promise<void> {
  bridge = await startBridge(partsOf, status);
  simulator = await startSimulator({
    port: 0,
    accountSid: SID,
    authToken: 'token',
    numbers: [OURS],
    webhookUrl: bridge.url,
    pacing: 'off',
  });
  bridge.pointAtSimulator(simulator.url);
}

async function stop(): Promise<void> {
  await simulator.close();
  await bridge.close();
}

async function run(options: Partial<TextOptions>) {
  const out = collector();
  const err = collector();
  const code = await textCommand({
    from: PERSON,
    simulatorUrl: simulator.url,
    json: false,
    waitMs: 5000,
    settleMs: 100,
    stdout: out.stream,
    stderr: err.stream,
    ...options,
  });
  return { code, out: out.text(), err: err.text() };
}

describe('one text', () => {
  afterEach(stop);

  test('prints both sides with their states and ends after all parts', async () => {
    await start((body) => [`You said: ${body}`, 'second part\nwith two lines']);
    const { code, out, err } = await run({ message: 'hello' });
    assert.equal(code, 0);
    assert.equal(err, '');
    const time = '\\d\\d:\\d\\d:\\d\\d';
    assert.match(out, new RegExp(`^${time}  you → \\+15550001111  hello  delivered$`, 'm'));
    assert.match(out, new RegExp(`^${time}  \\+15550001111 → you  You said: hello  delivered$`, 'm'));
    assert.match(out, /second part\n {10}with two lines {2}delivered\n/);
    assert.ok(!out.includes('\u001b'), 'no escape sequences where there is no terminal');
  });

  test('--json prints one event per line', async () => {
    await start(() => ['reply']);
    const { code, out } = await run({ message: 'hello', json: true });
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; body: string; status: string });
    assert.equal(code, 0);
    assert.ok(events.some((event) => event.type === 'text-in' && event.body === 'hello'));
    assert.ok(
      events.some((event) => event.type === 'status' && event.body === 'reply' && event.status === 'delivered'),
    );
  });

  test('ends with 1 and says so when nobody replies', async () => {
    await start(() => []);
    const { code, err } = await run({ message: 'hello', waitMs: 100 });
    assert.equal(code, 1);
    assert.match(err, /^No reply came within 0\.1 s/);
  });

  test('ends with 1 at once when the webhook does not take the text', async () => {
    await start(() => [], 503);
    const { code, err, out } = await run({ message: 'hello' });
    assert.equal(code, 1);
    assert.match(err, /did not take the text: HTTP 503/);
    assert.match(out, /hello {2}failed \(HTTP 503, 11200\)/);
  });

  test('ends with 1 when the reply does not reach the phone', async () => {
    await start(() => ['reply']);
    simulator.faults.set({ failWith: { code: 30003, count: 1 } });
    const { code, out, err } = await run({ message: 'hello' });
    assert.equal(code, 1);
    assert.match(out, /reply {2}undelivered \(30003\)/);
    assert.match(err, /did not reach the phone/);
  });

  test('ends with 2 and the reason when the simulator refuses', async () => {
    await start(() => []);
    const { code, err } = await run({ message: 'hello', from: 'me' });
    assert.equal(code, 2);
    assert.match(err, /^from: must be a phone number/);
  });
});

test('ends with 2 when no simulator is there', async () => {
  await start(() => []);
  const { url } = simulator;
  await stop();
  const { code, err } = await run({ message: 'hello', simulatorUrl: url });
  assert.equal(code, 2);
  assert.match(err, /Is Darkspere running\? npm start/);
});

describe('an interactive phone', () => {
  beforeEach(() => start((body) => (body.startsWith('quiet') ? [] : [`You said: ${body}`])));
  afterEach(stop);

  const type = (...lines: string[]) => {
    const stdin = new PassThrough();
    stdin.end(`${lines.join('\n')}\n`);
    return run({ stdin });
  };

  test('each line is a text; the end of the input waits for the last reply', async () => {
    const { code, out } = await type('one', '', 'two');
    assert.equal(code, 0);
    assert.match(out, /You said: one/);
    assert.match(out, /You said: two/);
  });

  test('/stop texts STOP', async () => {
    const { code, out } = await type('quiet', '/stop');
    assert.equal(code, 0);
    assert.match(out, /you → \+15550001111 {2}STOP/);
    assert.match(out, /successfully been unsubscribed/);
  });

  test('/fault knows every fault of the simulator by its name', async () => {
    const { code, err } = await type('/fault cut_answer', '/fault refuse_with 21211', '/fault fail_with', '/quit');
    assert.equal(code, 0);
    const { cutAnswer, refuseWith, failWith } = simulator.faults.pending();
    assert.deepEqual([cutAnswer, refuseWith, failWith], [1, 1, 0]);
    assert.match(err, /goes wrong: refuse_with/);
    for (const name of FAULT_NAMES) assert.ok(err.includes(name), name);
  });

  test('/fault, /help, unknown commands and /quit', async () => {
    const { code, err } = await type('/fault duplicate', '/fault nothing', '/help', '/what', '/quit', 'never sent');
    assert.equal(code, 0);
    assert.equal(simulator.faults.pending().duplicateWebhooks, 1);
    assert.match(err, /goes wrong: duplicate/);
    assert.match(err, /Faults: duplicate, /);
    assert.match(err, /Each line is a text/);
    assert.match(err, /Unknown command/);
    assert.equal(simulator.counts.textsIn, 0);
  });

  test('leaves with 2 when the simulator goes away', async () => {
    const stdin = new PassThrough();
    const out = collector();
    const running = run({ stdin, stdout: out.stream });
    out.stream.once('data', () => void simulator.close());
    stdin.write('one\n');
    const { code, err } = await running;
    assert.equal(code, 2);
    assert.match(err, /went away/);
  });
});
