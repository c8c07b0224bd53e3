// What anybody may send to the carrier's webhooks over real HTTP, and what comes of it: nothing that is not the carrier's.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { newSid, twilioSignature } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const PATHS = ['/webhooks/twilio/messages', '/webhook/sms/incoming'] as const;
const STATUS = '/webhooks/twilio/status';

let world: World;
type Answer = { status: number; text: string };

const codeOf = ({ status, text }: Answer) => `${status} ${JSON.parse(text).error?.code}`;

/** The shape that every refusal has, and that it repeats nothing of what was sent. */
function assertEnvelope({ text }: Answer, secrets: readonly string[] = []) {
  const { error } = JSON.parse(text);
  // Whatever it is by chance, it is not what was sent.
  const said = text.replace(error.trace_id, '');
  for (const field of ['type', 'code', 'message', 'doc_url', 'trace_id'])
    assert.equal(typeof error[field], 'string', field);
  for (const secret of secrets) assert.ok(!said.includes(secret), 'the answer repeats what was sent');
}

async function counts() {
  const [row] = await world.sql`
    select (select count(*) from messages where direction = 'in') as messages, (select count(*) from conversations) as conversations,
      (select count(*) from webhook_receipts) as receipts, (select count(*) from contacts) as contacts`;
  return row;
}

/** Checks that `attempt` leaves no row behind. */
async function storesNothing<T>(attempt: () => Promise<T>): Promise<T> {
  const before = await counts();
  const result = await attempt();
  assert.deepEqual(await counts(), before);
  return result;
}

// One after the other: each of them counts rows.
describe('webhooks', () => {
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  for (const path of PATHS) {
    describe(path, () => {
      test('without a signature, or with a wrong one: 403, and nothing is stored', async () => {
        const form = world.form({ Body: 'let me in' });
        const forgeries = [
          { signature: null },
          { signature: '' },
          { signature: 'AAAA' },
          { signature: randomBytes(20).toString('base64') },
          { token: randomBytes(16).toString('hex') },
          { token: '' },
          { signature: twilioSignature(world.authToken, `${world.urls.gateway}${path}`, { ...form, Body: 'let me' }) },
        ];
        for (const forgery of forgeries) {
          const answer = await storesNothing(() => world.signedPost(path, form, forgery));
          assert.equal(codeOf(answer), forgery.signature ? '403 signature_invalid' : codeOf(answer));
          assert.equal(answer.status, 403);
          assertEnvelope(answer, ['let me in', form.From!]);
        }
      });

      test('signed for another scheme, host, port, path or query: 403', async () => {
        const form = world.form({});
        const right = new URL(world.urls.gateway + path);
        for (const url of [
          right.href.replace('http:', 'https:'),
          right.href.replace(right.host, 'evil.example'),
          right.href.replace(right.port, '1'),
          `${right.href}/`,
          right.href.toUpperCase(),
          `${right.href}?a=1`,
          right.href.replace(path, PATHS[path === PATHS[0] ? 1 : 0]),
        ]) {
          const answer = await storesNothing(() => world.signedPost(path, form, { url, sentTo: right.href }));
          assert.equal(codeOf(answer), '403 signature_invalid', url);
        }
      });

      test('headers of a proxy decide nothing', async () => {
        const form = world.form({});
        const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' };
        const forged = { url: `https://evil.example${path}`, sentTo: world.urls.gateway + path, headers };
        assert.equal((await storesNothing(() => world.signedPost(path, form, forged))).status, 403);
        assert.equal((await world.signedPost(path, form, { headers })).status, 200);
      });

      test('a query that we did not ask for is refused, signed or not', async () => {
        const url = `${world.urls.gateway}${path}?Body=other`;
        const answer = await storesNothing(() => world.signedPost(path, world.form({}), { url }));
        assert.equal(codeOf(answer), '400 webhook_malformed');
      });

      test('a field that comes twice is refused: which one was meant?', async () => {
        for (const name of ['Body', 'From', 'To', 'MessageSid', 'AccountSid']) {
          const form = Object.entries(world.form({}));
          const again = name === 'Body' ? 'other' : form.find(([n]) => n === name)![1];
          const answer = await storesNothing(() => world.signedPost(path, [...form, [name, again]]));
          assert.equal(codeOf(answer), '400 webhook_malformed', name);
        }
      });

      test('a signed form cut up differently still verifies, and is refused all the same', async () => {
        const form = world.form({ Body: 'hello', From: '+15550201234', To: '+15550100000' });
        const signature = twilioSignature(world.authToken, world.urls.gateway + path, form);
        const { Body: _body, From: _from, ...rest } = form;
        const cuts: Record<string, string>[] = [
          // The sender's number becomes part of the text before it, so that the text would be from nobody.
          { ...rest, Body: 'helloFrom+15550201234' },
          { ...rest, BodyhelloFrom: '+15550201234' },
          { ...rest, Body: 'hello', 'From+': '15550201234' },
        ];
        for (const cut of cuts) {
          const answer = await storesNothing(() => world.signedPost(path, cut, { signature }));
          assert.ok([400, 403].includes(answer.status), `${answer.status}`);
        }
        // The same attack on the dedupe key: a webhook heard on the wire, sent again under an id of its own.
        const { MessageSid: sid, ...others } = form;
        const moved = { ...others, MessageSi: `d${sid}` };
        const answer = await storesNothing(() => world.signedPost(path, moved, { signature }));
        assert.equal(codeOf(answer), '400 webhook_malformed');
      });

      test('fields with dangerous names are fields like any other', async () => {
        const form = world.form({
          __proto__: 'x',
          'constructor[prototype][polluted]': 'yes',
          '__proto__[polluted]': 'yes',
        });
        const fields = [...Object.entries(form), ['__proto__', 'polluted']] as [string, string][];
        assert.equal((await world.signedPost(path, fields)).status, 200);
        assert.equal(({} as Record<string, unknown>).polluted, undefined);
      });

      for (const [name, body] of [
        ['broken percent-encoding', 'Body=%E0%A4%A&From=%2B1'],
        ['half a surrogate pair', 'Body=%ED%A0%80'],
        ['Latin-1', Buffer.from('Body=caf\xe9', 'latin1')],
        ['more fields than a carrier sends', Array.from({ length: 5_000 }, (_, n) => `f${n}=`).join('&')],
      ] as const) {
        test(`${name}: refused without a 500`, async () => {
          const answer = await storesNothing(() => world.signedPost(path, world.form({}), { body }));
          assert.ok([400, 403].includes(answer.status), `${answer.status}`);
          assertEnvelope(answer, ['caf']);
        });
      }

      for (const [param, fields] of [
        ['AccountSid', { AccountSid: newSid('AC') }],
        ['AccountSid', { AccountSid: '' }],
        ['To', { To: '+15559999999' }],
        ['To', { To: '' }],
        ['To', { To: 'whatsapp:+15550100000' }],
        ['From', { From: '' }],
        ['From', { From: `+1555<script>` }],
        ['From', { From: 'messenger:12345' }],
        ['MessageSid', { MessageSid: 'SM123' }],
        ['MessageSid', { MessageSid: `${newSid()}\n` }],
        ['NumMedia', { NumMedia: '-1' }],
        ['NumMedia', { NumMedia: '1e9' }],
      ] as const) {
        test(`signed, but ${param} is ${JSON.stringify(Object.values(fields)[0])}: 400 that names it`, async () => {
          const answer = await storesNothing(() => world.signedPost(path, world.form(fields)));
          assert.equal(codeOf(answer), '400 webhook_malformed');
          assert.equal(JSON.parse(answer.text).error.param, param);
          assertEnvelope(answer);
        });
      }

      test('more than fits, or of another kind: 413, 415, 431', async () => {
        const form = world.form({ Body: 'x'.repeat(1024 * 1024) });
        const large = await storesNothing(() => world.signedPost(path, form));
        assert.equal(codeOf(large), '413 body_too_large');
        assertEnvelope(large);
        const headers = { 'content-type': 'text/xml' };
        const xml = await storesNothing(() => world.signedPost(path, world.form({}), { headers, body: '<Body/>' }));
        assert.equal(codeOf(xml), '415 unsupported_media_type');
        assertEnvelope(xml);
        const fat = { 'x-padding': 'x'.repeat(20_000) };
        assert.equal((await storesNothing(() => world.signedPost(path, world.form({}), { headers: fat }))).status, 431);
      });

      test('an empty body and a JSON body are refused', async () => {
        for (const more of [{ body: '' }, { body: '{"Body":"hi"}', headers: { 'content-type': 'application/json' } }]) {
          const answer = await storesNothing(() => world.signedPost(path, {}, more));
          assert.ok([400, 403].includes(answer.status), `${answer.status}`);
          assertEnvelope(answer);
        }
      });

      test('other methods find nothing here', async () => {
        for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
          const response = await fetch(world.urls.gateway + path, { method });
          const answer = { status: response.status, text: await response.text() };
          assert.equal(codeOf(answer), '404 not_found');
          assertEnvelope(answer);
        }
      });
    });
  }

  test('an unknown path answers 404 in the same shape and does not repeat the path', async () => {
    for (const path of ['/elsewhere/%2e%2e/here', '/webhooks/twilio/messages/', '/v1/<script>']) {
      const response = await fetch(world.urls.gateway + path);
      const answer = { status: response.status, text: await response.text() };
      assert.equal(codeOf(answer), '404 not_found');
      assertEnvelope(answer, ['script', 'elsewhere']);
    }
  });

  test('a status callback without a right signature moves nothing', async () => {
    const { part, sid } = await sentPart();
    const fields = { AccountSid: world.accountSid, MessageSid: sid, MessageStatus: 'failed', ErrorCode: '30007' };
    const path = `${STATUS}?part=${part}`;
    for (const more of [{ signature: null }, { signature: 'AAAA' }, { url: world.urls.gateway + STATUS }]) {
      const sentTo = world.urls.gateway + path;
      assert.equal((await world.signedPost(path, fields, { sentTo, ...more })).status, 403);
    }
    assert.deepEqual(await stateOf(part), ['delivered', null]);
  });

  test('delivery states only move forward, whatever comes late, twice or from somebody else’s message', async () => {
    const { part, sid } = await sentPart();
    const report = async (status: string, messageSid: string, id = part) => {
      const fields = { AccountSid: world.accountSid, MessageSid: messageSid, MessageStatus: status };
      assert.equal((await world.signedPost(`${STATUS}?part=${id}`, fields)).status, 200);
    };
    for (const status of ['sent', 'queued', 'delivered', 'sending', 'nonsense']) await report(status, sid);
    assert.deepEqual(await stateOf(part), ['delivered', null]);
    await report('read', newSid());
    await report('failed', newSid());
    assert.deepEqual(await stateOf(part), ['delivered', null]);
    await storesNothing(() => report('delivered', newSid(), crypto.randomUUID()));
    await report('read', sid);
    assert.deepEqual(await stateOf(part), ['read', null]);
  });

  test('a status callback of another account, or on no part of ours, changes nothing and is no fault', async () => {
    const { part, sid } = await sentPart();
    const foreign = { AccountSid: newSid('AC'), MessageSid: sid, MessageStatus: 'failed' };
    assert.equal((await world.signedPost(`${STATUS}?part=${part}`, foreign)).status, 400);
    for (const query of ['', '?part=', '?part=1%27%20or%201=1', '?part=%00', '?other=1']) {
      const fields = { AccountSid: world.accountSid, MessageSid: sid, MessageStatus: 'failed' };
      const { status } = await world.signedPost(STATUS + query, fields);
      assert.ok(status === 200 || status === 400, `${query}: ${status}`);
    }
    assert.deepEqual(await stateOf(part), ['delivered', null]);
  });

  test('a client that sends byte by byte is let go, and others do not notice', async () => {
    const line = await world.line();
    await line.agent(() => 'Hi.');
    const { port } = new URL(world.urls.gateway!);
    const slow = Array.from({ length: 50 }, () => connect(Number(port), 'localhost').on('error', () => {}));
    await Promise.all(slow.map((socket) => once(socket, 'connect')));
    for (const socket of slow) socket.write('POST /webhooks/twilio/messages HTTP/1.1\r\nHost: a\r\nX-Slow: ');
    const drip = setInterval(() => {
      for (const socket of slow) if (socket.writable) socket.write('x');
    }, 500);
    try {
      const ann = line.person();
      assert.equal((await ann.text('hello')).status, 200);
      assert.equal((await ann.next()).body, 'Hi.');
      await until(() => slow.every(({ destroyed }) => destroyed), {
        timeoutMs: 18_000,
        what: 'the end of slow clients',
      });
    } finally {
      clearInterval(drip);
      for (const socket of slow) socket.destroy();
    }
  });

  test('texts, phone numbers, signatures and secrets are in no log line', async () => {
    const words = 'my-secret-words';
    const ann = '+15550207777';
    const right = world.form({ From: ann, Body: words });
    await world.signedPost(PATHS[0], right);
    for (const path of PATHS) {
      await world.signedPost(path, right, { signature: 'wrong-signature' });
      await world.signedPost(path, world.form({ From: ann, Body: words, AccountSid: newSid('AC') }));
      await world.signedPost(path, [...Object.entries(right), ['Body', words]]);
      await world.signedPost(path, right, { url: `${world.urls.gateway}${path}?Body=${words}` });
      await world.signedPost(path, right, { body: `Body=${words}%E0%A4%A` });
      await world.signedPost(path, right, { body: `${words}`, headers: { 'content-type': `text/${words}` } });
    }
    assert.ok(world.log.some((line) => line.includes('webhook refused')));
    const all = world.log.join('\n');
    for (const hidden of [words, ann, ann.slice(1), 'wrong-signature', world.authToken, world.registrationSecret]) {
      assert.ok(!all.includes(hidden), 'something hidden is in the log');
    }
  });

  test('every refusal is counted by its code', async () => {
    const metrics = await fetch(`${world.urls.gateway}/metrics`).then((response) => response.text());
    for (const code of ['signature_missing', 'signature_invalid', 'webhook_malformed', 'body_too_large']) {
      assert.match(metrics, new RegExp(`darkspere_webhooks_rejected_total\\{code="${code}"\\} [1-9]`));
    }
  });
});

/** A part that has reached a phone. */
async function sentPart(): Promise<{ part: string; sid: string }> {
  const line = await world.line();
  await line.agent(() => 'Answer.');
  const ann = line.person();
  await ann.text('hello');
  const { parts } = await line.story(ann);
  return { part: parts[0]!.id, sid: parts[0]!.provider_id };
}

async function stateOf(part: string) {
  const [row] = await world.sql`select state, error_code from outbound_parts where id = ${part}`;
  return [row!.state, row!.error_code];
}
