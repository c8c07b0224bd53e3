// The control API's part in faults: what a script of another language needs.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { PERSON, startLine, type TestLine } from '../../../test/support/scripted-customer.ts';

let line: TestLine;

beforeEach(async () => {
  line = await startLine();
});
afterEach(() => line.stop());

async function ask(method: string, path: string, body?: unknown) {
  const answer = await fetch(line.simulator.url + path, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: JSON.parse(await answer.text()) };
}

describe('faults', () => {
  test('are set with their details, told, and all taken away', async () => {
    const set = await ask('POST', '/simulator/faults', {
      http_429: { for_ms: 60_000, retry_after_seconds: 3 },
      fail_with: { code: 30_003, count: 2 },
    });
    assert.equal(set.status, 200);
    assert.equal(set.body.faults.http_429.left, null);
    assert.equal(set.body.faults.fail_with.left, 2);
    assert.equal((await line.create()).headers.get('retry-after'), '3');
    const cleared = await ask('DELETE', '/simulator/faults');
    assert.equal(cleared.body.faults.http_429.left, 0);
    assert.equal((await line.create()).status, 201);
  });

  test('happen by chance, by a seed', async () => {
    await ask('POST', '/simulator/mix', { seed: 11, ratios: { http_429: 0.5 } });
    const run = async () => {
      const statuses: number[] = [];
      for (let n = 0; n < 12; n++) statuses.push((await line.create()).status);
      return statuses;
    };
    const first = await run();
    assert.deepEqual([...new Set(first)].toSorted(), [201, 429]);
    await ask('POST', '/simulator/mix', { seed: 11, ratios: { http_429: 0.5 } });
    assert.deepEqual(await run(), first);
  });

  test('follow a script', async () => {
    const script = { seed: 1, steps: [{ at_create: 2, fault: 'http_500_before_accept', count: 2, status: 503 }] };
    assert.equal((await ask('POST', '/simulator/script', script)).status, 202);
    const statuses = [];
    for (let n = 0; n < 4; n++) statuses.push((await line.create()).status);
    assert.deepEqual(statuses, [201, 503, 503, 201]);
  });

  test('that are wrong are named, and nothing changes', async () => {
    const wrong = await ask('POST', '/simulator/faults', { http_401: 1, http_429: { ratio: 3 } });
    assert.deepEqual([wrong.status, wrong.body.error.param], [422, 'http_429.0.ratio']);
    assert.equal(line.simulator.faults.pending().http401, 0);
    const step = await ask('POST', '/simulator/script', { steps: [{ fault: 'http_429', at_ms: 1, at_text: 1 }] });
    assert.deepEqual([step.status, step.body.error.param], [422, 'steps.0']);
  });
});

test('an outage leaves who watches connected, and ends by itself', async () => {
  const watcher = await fetch(`${line.simulator.url}/simulator/events`);
  await ask('POST', '/simulator/faults', { refuse_connections: { for_ms: 100 } });
  await assert.rejects(line.create());
  const deadline = AbortSignal.timeout(5000);
  while (
    !(await line.create({ Body: 'after' }).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    assert.ok(!deadline.aborted);
  let seen = '';
  for await (const chunk of watcher.body!.pipeThrough(new TextDecoderStream())) {
    seen += chunk;
    if (seen.includes('"delivered"')) break;
  }
  assert.match(seen, /"body":"after"/);
});

test('the history is read page by page', async () => {
  await line.simulator.text({ from: PERSON, body: 'hi' });
  const first = await ask('GET', '/simulator/history');
  assert.deepEqual(
    first.body.entries.map(({ n, kind }: { n: number; kind: string }) => `${n} ${kind}`),
    ['1 text', '2 webhook'],
  );
  const [, webhook] = first.body.entries;
  assert.deepEqual([webhook.status, webhook.attempt, webhook.copy, webhook.problem], [200, 1, 0, null]);
  assert.ok(Date.parse(webhook.started_at) <= Date.parse(webhook.at));
  assert.deepEqual((await ask('GET', '/simulator/history?after=2')).body, { entries: [], next: 2, forgotten: 0 });
});

test('the webhook and its fallback can be moved', async () => {
  const urls = { webhook_url: `${line.receiver.url}/a#rc=0`, fallback_url: `${line.receiver.url}/b` };
  assert.deepEqual((await ask('POST', '/simulator/urls', urls)).body, urls);
  line.receiver.answerWith(({ path }) => (path === '/a' ? 500 : 200));
  assert.equal((await line.simulator.text({ from: PERSON, body: 'hi' })).status, 200);
  assert.equal((await ask('POST', '/simulator/urls', { webhook_url: 'ftp://a' })).body.error.param, 'webhook_url');
});

test('somebody on WhatsApp can text', async () => {
  const sent = await ask('POST', '/simulator/texts', { from: 'whatsapp:US.13491208655302', body: 'hi' });
  assert.deepEqual([sent.status, sent.body.to], [202, 'whatsapp:+15550001111']);
  assert.equal((await ask('POST', '/simulator/texts', { from: 'whatsapp:x', body: 'hi' })).body.error.param, 'from');
});
