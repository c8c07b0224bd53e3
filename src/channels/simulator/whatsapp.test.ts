// WhatsApp, pictures and scheduled messages: what is different from a text.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  ACCOUNT,
  OURS,
  PERSON,
  startLine,
  statusesOf,
  type TestLine,
} from '../../../test/support/scripted-customer.ts';
import { readInbound } from '../twilio/inbound.ts';
import { createWindows } from './whatsapp.ts';

let line: TestLine;

beforeEach(async () => {
  line = await startLine();
});
afterEach(() => line.stop());

const codeOf = async (answer: Promise<Response>) => ((await (await answer).json()) as { code?: number }).code;
const sidOf = async (answer: Promise<Response>) => ((await (await answer).json()) as { sid: string }).sid;
const whatsApp = (more: Record<string, string> = {}) =>
  line.create({ From: `whatsapp:${OURS}`, To: `whatsapp:${PERSON}`, ...more });

describe('whatsapp', () => {
  const PEOPLE: [who: string, address: string, fields: Record<string, string | undefined>][] = [
    ['a number', `whatsapp:${PERSON}`, { WaId: PERSON.slice(1), ExternalUserIdentifier: undefined }],
    ['a user id alone', 'whatsapp:US.13491208655302', { WaId: undefined, ExternalUserIdentifier: 'US.13491208655302' }],
  ];
  for (const [who, address, fields] of PEOPLE) {
    test(`somebody with ${who} texts, our parser reads it, and the answer arrives and is read`, async () => {
      const person = line.simulator.person(address);
      assert.equal((await person.text('hi')).status, 200);
      const { form } = line.receiver.hits[0]!;
      assert.deepEqual([form.From, form.To], [address, `whatsapp:${OURS}`]);
      for (const [name, value] of Object.entries(fields)) assert.equal(form[name], value);
      const inbound = readInbound(new Map(Object.entries(form).map(([name, value]) => [name, [value]])), '/', {
        accountSid: ACCOUNT,
        messagingServiceSid: null,
        numbers: new Set([OURS]),
        apiOrigin: line.simulator.url,
        carrierAnswersKeywords: true,
      });
      assert.deepEqual([inbound.channel, inbound.from, inbound.to], ['whatsapp', address.slice(9), OURS]);
      assert.equal((await whatsApp({ To: address, Body: 'hello' })).status, 201);
      assert.equal((await person.next()).body, 'hello');
      const states = statusesOf(await line.receiver.waitFor(5));
      assert.deepEqual(states, ['queued', 'sent', 'delivered', 'read']);
    });
  }

  test('a receipt may be off', async () => {
    await line.simulator.person(`whatsapp:${PERSON}`).text('hi');
    line.simulator.faults.set({ missingCallbacks: { state: 'read' } });
    const sid = await sidOf(whatsApp());
    const shown = async () => ((await (await line.get(`Messages/${sid}.json`)).json()) as { status: string }).status;
    const deadline = AbortSignal.timeout(5000);
    while ((await shown()) !== 'read') assert.ok(!deadline.aborted);
    assert.deepEqual(statusesOf(await line.receiver.waitFor(4)), ['queued', 'sent', 'delivered']);
  });

  test('a free text to somebody who has not written for 24 h ends with 63016, a template arrives', async () => {
    assert.equal((await whatsApp()).status, 201);
    const hits = await line.receiver.waitFor(3);
    assert.deepEqual([statusesOf(hits).at(-1), hits.at(-1)?.form.ErrorCode], ['undelivered', '63016']);
    await whatsApp({ Body: '', ContentSid: `HX${'0'.repeat(32)}` });
    assert.equal((await line.simulator.person(`whatsapp:${PERSON}`).next()).body, '');
  });

  test('the window is 24 h from the last text, per sender of ours', () => {
    const windows = createWindows();
    windows.opened('a', 'p', 1000);
    assert.ok(windows.isOpen('a', 'p', 1000 + 86_399_999));
    assert.ok(!windows.isOpen('a', 'p', 1000 + 86_400_000));
    assert.ok(!windows.isOpen('b', 'p', 1000));
  });

  test('refuses two channels in one message, a sender that is none, and a template that is none', async () => {
    assert.equal(await codeOf(line.create({ To: `whatsapp:${PERSON}` })), 21_910);
    assert.equal(await codeOf(whatsApp({ From: 'whatsapp:+15559990000' })), 63_007);
    assert.equal(await codeOf(whatsApp({ To: 'whatsapp:nobody' })), 21_211);
    assert.equal(await codeOf(whatsApp({ ContentSid: 'HX1' })), 21_655);
  });

  test('STOP is a text like any other: the carrier says nothing and blocks nothing', async () => {
    const person = line.simulator.person(`whatsapp:${PERSON}`);
    await person.text('STOP');
    await whatsApp({ Body: 'as you wish' });
    assert.equal((await person.next()).body, 'as you wish');
  });
});

describe('media of ours', () => {
  /** Serves a file of any size: /1000 has 1,000 bytes. */
  const files = createServer((request, response) => {
    const size = Number(request.url?.slice(1));
    if (Number.isNaN(size)) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.alloc(size));
  });
  let origin = '';
  beforeEach(async () => {
    await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
    await line.stop();
    line = await startLine({ fetchesMedia: true });
  });
  afterEach(async () => {
    const closed = new Promise((resolve) => files.close(resolve));
    files.closeAllConnections();
    await closed;
  });

  const CASES: [what: string, path: string, sms: string | undefined, whatsapp: string | undefined][] = [
    ['a picture', '/100000', undefined, undefined],
    ['more than 5 MB', '/5300000', '11751', '63019'],
    ['nothing', '/missing', '11200', '63019'],
  ];
  for (const [what, path, smsCode, whatsAppCode] of CASES) {
    test(`with ${what} behind the link end with ${smsCode ?? 'delivery'}, on WhatsApp with ${whatsAppCode ?? 'delivery'}`, async () => {
      const media = { MediaUrl: origin + path };
      const ended = (sid: string) => (hit: { form: Record<string, string> }) =>
        hit.form.MessageSid === sid && ['delivered', 'failed', 'undelivered'].includes(hit.form.MessageStatus ?? '');
      const codeFor = async (sid: string) => (await line.receiver.waitFor(1, ended(sid)))[0]?.form.ErrorCode;
      const mms = await sidOf(line.create(media));
      assert.match(mms, /^MM/);
      assert.equal(await codeFor(mms), smsCode);
      await line.simulator.person(`whatsapp:${PERSON}`).text('hi');
      assert.equal(await codeFor(await sidOf(whatsApp(media))), whatsAppCode);
    });
  }
});

describe('a scheduled message', () => {
  const service = { MessagingServiceSid: `MG${'0'.repeat(32)}`, ScheduleType: 'fixed' };
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

  test('is refused without a time, without a service, too early and too late', async () => {
    const [soon, early, late] = [inSeconds(600), inSeconds(200), inSeconds(36 * 86_400)];
    assert.equal(await codeOf(line.create(service)), 35_111);
    assert.equal(await codeOf(line.create({ ScheduleType: 'fixed', SendAt: soon })), 35_118);
    for (const SendAt of [early, late, 'tomorrow']) {
      assert.equal(await codeOf(line.create({ ...service, SendAt })), 35_114);
    }
  });

  test('waits, can be canceled once, and never arrives then', async () => {
    const sid = await sidOf(line.create({ ...service, SendAt: inSeconds(600) }));
    const shown = async () => (await (await line.get(`Messages/${sid}.json`)).json()) as { status: string };
    assert.equal((await shown()).status, 'scheduled');
    const update = () => line.update(sid, { Status: 'canceled' });
    assert.equal(((await (await update()).json()) as { status: string }).status, 'canceled');
    assert.deepEqual(statusesOf(await line.receiver.waitFor(1)), ['canceled']);
    assert.equal(await codeOf(update()), 30_409);
    assert.equal((await shown()).status, 'canceled');
  });

  test('only a scheduled one can be canceled', async () => {
    const sid = await sidOf(line.create());
    assert.equal(await codeOf(line.update(sid, { Status: 'canceled' })), 30_409);
  });
});
