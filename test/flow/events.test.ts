// GET /v1/events through the real gateway, and the phone of the simulator.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openEvents } from '../support/event-source.ts';
import { type Answer, type Caller, keyHolder, signIn } from '../support/operator.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.code}`;
const OURS = '+15550100000';

describe('a gateway with the simulator', { concurrency: 1 }, () => {
  let world: World;
  let gateway: string;
  let asKey: Caller;
  let bearer: Record<string, string>;
  before(async () => {
    world = await startWorld({ ownSimulator: true });
    gateway = world.urls.gateway!;
    const holder = await keyHolder(world, ['read', 'write']);
    asKey = holder.call;
    bearer = { authorization: `Bearer ${holder.key}` };
    await world.agent(() => 'Hello yourself.');
  });
  after(() => world.stop());

  const text = (from: string, more: object = {}) =>
    asKey('POST', '/v1/simulator/texts', { from, to: OURS, text: 'hello', ...more });
  const messagesOf = async (phone: string) =>
    (await asKey('GET', `/v1/simulator/phones/${encodeURIComponent(phone)}/messages`)).json.data as Record<
      string,
      unknown
    >[];

  test('a text from the console is answered, and the phone is told each step', async () => {
    const events = await openEvents(`${gateway}/v1/events`, bearer);
    const sent = await text('+15557000001');
    assert.equal(sent.status, 202);
    const phone = events.events.filter(({ event }) => event === 'phone');
    await until(() => events.events.some(({ data }) => JSON.stringify(data).includes('"status":"delivered"')), {
      what: 'the delivery of the answer',
    });
    assert.ok(phone.length <= events.events.length);
    const messages = await messagesOf('+15557000001');
    assert.deepEqual(
      messages.map(({ direction, body, status, error_code }) => ({ direction, body, status, error_code })),
      [
        { direction: 'in', body: 'hello', status: 'received', error_code: null },
        { direction: 'out', body: 'Hello yourself.', status: 'delivered', error_code: null },
      ],
    );
    assert.equal(messages[0]!.sid, sent.json.sid);
    events.close();
  });

  test('a fault happens to the text it was sent with, or to its answer, and to nobody else', async () => {
    await text('+15557000002', { fault: { fail_with: { code: 30_007 } } });
    await text('+15557000003');
    const ended = async (phone: string) => {
      const answer = (await messagesOf(phone)).find(({ direction }) => direction === 'out');
      return ['delivered', 'undelivered', 'failed'].includes(String(answer?.status)) && answer;
    };
    const failed = await until(() => ended('+15557000002'));
    assert.deepEqual([failed.status, failed.error_code], ['undelivered', 30_007]);
    assert.match(String(failed.error_reason), /^The carrier filtered the text/);
    assert.equal(failed.webhook, null);
    assert.equal((await until(() => ended('+15557000003'))).status, 'delivered');

    await text('+15557000004', { text: 'twice', fault: { duplicate_webhooks: { copies: 1 } } });
    await until(() => ended('+15557000004'));
    const copies = world.ownSimulator!.history.of('webhook').filter(({ copy }) => copy === 1);
    assert.equal(copies.length, 1);
    const [row] = await world.sql`select count(*)::int as count from messages where body = 'twice'`;
    assert.equal(row!.count, 1);
    assert.deepEqual((await asKey('GET', '/v1/simulator')).json.faults, []);
  });

  test('faults for everybody are set, counted and taken away', async () => {
    const set = await asKey('POST', '/v1/simulator/faults', { http_429: 2, fail_with: { code: 30_003 } });
    const left = (answer: Answer) =>
      Object.fromEntries(
        (answer.json.data as { name: string; left: number }[])
          .filter((each) => each.left !== 0)
          .map((each) => [each.name, each.left]),
      );
    assert.deepEqual(left(set), { http_429: 2, fail_with: 1 });
    assert.equal((await asKey('GET', '/v1/simulator')).json.faults.length, 2);
    assert.deepEqual(left(await asKey('DELETE', '/v1/simulator/faults')), {});
    const wrong = await asKey('POST', '/v1/simulator/faults', { no_such_fault: 1 });
    assert.deepEqual([codeOf(wrong), wrong.json.error.param], ['422 invalid_request', 'no_such_fault']);
    const aimed = await text('+15557000005', { fault: { refuse_connections: 1 } });
    assert.deepEqual([codeOf(aimed), aimed.json.error.param], ['422 invalid_request', 'fault']);
    const nested = await text('+15557000005', { fault: { fail_with: { code: 1 } } });
    assert.equal(nested.json.error.param, 'fault.fail_with.0.code');
    assert.deepEqual(await messagesOf('+15557000005'), []);
  });

  test('a picture goes to the agent and comes back to the console, all of it through the gateway', async () => {
    const operator = await signIn(world);
    const { pictures } = (await operator.call('GET', '/v1/simulator')).json;
    assert.equal(pictures.length, 3);
    const preview = await fetch(gateway + pictures[0].preview_url, { headers: { cookie: operator.cookie } });
    assert.equal(preview.headers.get('content-type'), 'image/png');
    const bytes = Buffer.from(await preview.arrayBuffer());
    assert.deepEqual([...bytes.subarray(1, 4)], [...Buffer.from('PNG')]);

    await text('+15557000006', { text: '', media_urls: [pictures[0].url] });
    const [sent] = await until(async () => {
      const found = await messagesOf('+15557000006');
      return found.length === 2 && found;
    });
    const [shown] = sent!.media_urls as string[];
    assert.match(shown!, /^\/v1\/simulator\/media\/MM/);
    const onPhone = await fetch(gateway + shown, { headers: { cookie: operator.cookie } });
    assert.deepEqual(Buffer.from(await onPhone.arrayBuffer()), bytes);

    const [row] = await world.sql`select id from messages where jsonb_array_length(media) = 1`;
    const stored = await fetch(`${gateway}/v1/messages/${row!.id}/media/0`, { headers: { cookie: operator.cookie } });
    assert.deepEqual(
      ['content-type', 'content-disposition', 'x-content-type-options', 'content-security-policy'].map((name) =>
        stored.headers.get(name),
      ),
      ['image/png', 'inline', 'nosniff', "default-src 'none'; sandbox"],
    );
    assert.deepEqual(Buffer.from(await stored.arrayBuffer()), bytes);
    assert.equal(codeOf(await operator.call('GET', `/v1/messages/${row!.id}/media/1`)), '404 not_found');
    assert.equal(codeOf(await operator.call('GET', `/v1/messages/${crypto.randomUUID()}/media/0`)), '404 not_found');
  });

  test('a phone fetches pictures only, and only from where agents may live', async () => {
    const missing: string[] = [
      `${gateway}/v1/openapi.json`,
      'http://10.1.2.3/a.png',
      'http://169.254.169.254/latest/meta-data',
    ];
    const { json } = await text('+15557000007', { text: '', media_urls: missing });
    for (const n of missing.keys()) {
      assert.equal(codeOf(await asKey('GET', `/v1/simulator/media/${json.sid}/${n}`)), '404 not_found');
    }
  });

  test('texts that are none are refused', async () => {
    const wrong: [object, string][] = [
      [{ from: '5551234' }, 'from'],
      [{ text: '' }, 'text'],
      [{ to: '+15550009999' }, 'to'],
      [{ media_urls: ['file:///etc/passwd'] }, 'media_urls.0'],
    ];
    for (const [more, param] of wrong) {
      const answer = await text('+15557000008', more);
      assert.deepEqual([answer.status, answer.json.error.param], [422, param]);
    }
  });

  test('the instance says that this is the simulator, and what a text costs is said before it is sent', async () => {
    const { json } = await asKey('GET', '/v1/instance');
    assert.equal(json.carrier, 'simulator');
    assert.deepEqual(json.numbers[0], { address: OURS, is_active: true, agent_type: 'chat' });
    const agents = (await asKey('GET', '/v1/agents')).json.data;
    assert.equal(agents.length, 1);
    assert.equal(agents[0].status, 'active');
    const costs = await asKey('POST', '/v1/segments', { text: 'a'.repeat(161) });
    assert.deepEqual(costs.json, {
      encoding: 'GSM-7',
      characters: 161,
      segments: 2,
      parts: 1,
      left: 145,
      forced_by: [],
      cost_micro_usd: 16_600,
    });
    assert.equal((await asKey('POST', '/v1/segments', { text: '', media: 1 })).json.cost_micro_usd, 22_000);
    const typed = { text: '“Quoted” – and so on…' };
    const asPerson = (await asKey('POST', '/v1/segments', typed)).json;
    assert.deepEqual([asPerson.encoding, asPerson.forced_by], ['UCS-2', ['“', '”', '–', '…']]);
    const asOperator = (await asKey('POST', '/v1/segments', { ...typed, by: 'operator' })).json;
    assert.deepEqual([asOperator.encoding, asOperator.segments, asOperator.forced_by], ['GSM-7', 1, []]);
    const spelledOut = (await asKey('POST', '/v1/segments', { text: '…'.repeat(600), by: 'operator' })).json;
    assert.deepEqual([spelledOut.parts, spelledOut.segments], [2, 13]);
  });

  test('signing out ends the stream', async () => {
    const operator = await signIn(world);
    const events = await openEvents(`${gateway}/v1/events`, { cookie: operator.cookie });
    await events.next('beat');
    await operator.call('DELETE', '/v1/session');
    await until(() => events.isOver());
  });

  test('a stop ends the streams', async () => {
    const other = await world.runtime(['gateway'], { PORT: '0', DARKSPERE_SIMULATOR_PORT: '0' });
    const events = await openEvents(`${other.urls.gateway}/v1/events`, bearer);
    await events.next('beat');
    await other.stop();
    await until(() => events.isOver());
  });
});

test('with a real carrier the phone says that there is none', async () => {
  const world = await startWorld();
  const { call } = await keyHolder(world, ['read', 'write']);
  for (const path of ['/v1/simulator', '/v1/simulator/faults', '/v1/simulator/phones/%2B15550001/messages']) {
    assert.equal(codeOf(await call('GET', path)), '409 simulator_off');
  }
  const text = { from: '+15557000001', to: OURS, text: 'x' };
  assert.equal(codeOf(await call('POST', '/v1/simulator/texts', text)), '409 simulator_off');
  assert.equal((await call('GET', '/v1/instance')).json.carrier, 'twilio');
  await world.stop();
});
