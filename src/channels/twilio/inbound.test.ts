import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DarkspereError } from '../../errors.ts';
import { storable } from '../../text.ts';
import { cut } from './cut.ts';
import { parseForm } from './form.ts';
import { type Ours, readInbound } from './inbound.ts';

const PATH = '/webhooks/twilio/messages';
const SID = `SM${'0123456789abcdef'.repeat(2)}`;
const SERVICE = `MG${'2'.repeat(32)}`;
const OURS: Ours = {
  accountSid: `AC${'1'.repeat(32)}`,
  messagingServiceSid: SERVICE,
  numbers: new Set(['+15550001111']),
  apiOrigin: 'http://127.0.0.1:8006',
  carrierAnswersKeywords: true,
};
const TEXT = {
  MessageSid: SID,
  SmsSid: SID,
  AccountSid: OURS.accountSid,
  From: '+14155550123',
  To: '+15550001111',
  Body: 'hello',
  NumMedia: '0',
  SmsStatus: 'received',
};

type Fields = Record<string, string>;
const read = (fields: Fields, path = PATH) =>
  readInbound(parseForm(Buffer.from(new URLSearchParams(fields).toString())), path, OURS);
const without = (name: string): Fields => Object.fromEntries(Object.entries(TEXT).filter(([key]) => key !== name));

test('a plain text', () => {
  assert.deepEqual(read(TEXT), {
    channel: 'sms',
    providerId: SID,
    from: '+14155550123',
    to: '+15550001111',
    text: 'hello',
    media: [],
    optOutHandled: null,
  });
});

test('what is not ours or not a message is refused by the name of the field', () => {
  const cases: [param: string, fields: Fields, path?: string][] = [
    ['MessageSid', without('MessageSid')],
    ['MessageSid', { ...TEXT, MessageSid: `SM${'g'.repeat(32)}` }],
    ['MessageSid', { ...TEXT, MessageSid: SID.toUpperCase() }],
    ['MessageSid', { ...TEXT, MessageSid: `${SID}\n` }],
    ['MessageSid', { ...TEXT, MessageSid: SID.replace('SM', 'CA') }],
    ['AccountSid', without('AccountSid')],
    ['AccountSid', { ...TEXT, AccountSid: `AC${'9'.repeat(32)}` }],
    ['To', without('To')],
    ['To', { ...TEXT, To: '+15550002222' }],
    ['To', { ...TEXT, To: 'whatsapp:+15550001111' }],
    ['To', { ...TEXT, To: '+15550002222', MessagingServiceSid: `MG${'3'.repeat(32)}` }],
    ['To', { ...TEXT, To: 'not a number', MessagingServiceSid: SERVICE }],
    ['From', without('From')],
    ['From', { ...TEXT, From: '' }],
    ['From', { ...TEXT, From: 'rcs:brand_agent' }],
    ['From', { ...TEXT, From: 'messenger:123' }],
    ['From', { ...TEXT, From: '+0155' }],
    ['From', { ...TEXT, From: '+1415555012345678' }],
    ['From', { ...TEXT, From: '+14155550123Bodyhi' }],
    ['From', { ...TEXT, From: 'TWELVE CHARS' }],
    ['From', { ...TEXT, From: '123456789' }],
    ['From', { ...TEXT, From: 'whatsapp:12345', To: 'whatsapp:+15550001111' }],
    ['From', { ...TEXT, From: 'whatsapp:us.abc', To: 'whatsapp:+15550001111' }],
    ['NumMedia', { ...TEXT, NumMedia: '-1' }],
    ['NumMedia', { ...TEXT, NumMedia: '1e3' }],
    ['query', TEXT, `${PATH}?Body=moved`],
    ['query', TEXT, `${PATH}?part=0198c1b2-0000-7000-8000-000000000001`],
  ];
  for (const [param, fields, path] of cases) {
    assert.throws(
      () => read(fields, path),
      (error) => {
        assert.ok(error instanceof DarkspereError);
        assert.deepEqual([error.code, error.param], ['webhook_malformed', param]);
        assert.doesNotMatch(error.message, /\+?\d{6}|hello/, 'neither text nor numbers in the message');
        return true;
      },
      JSON.stringify([param, fields, path]),
    );
  }
});

test('a repeated field is refused, however equal', () => {
  const twice = `${new URLSearchParams(TEXT).toString()}&From=${encodeURIComponent(TEXT.From)}`;
  assert.throws(() => readInbound(parseForm(Buffer.from(twice)), PATH, OURS), {
    code: 'webhook_malformed',
    param: 'From',
  });
});

test('senders that nobody can answer are still read', () => {
  for (const from of ['72345', '22000', 'MY BANK', 'Acme-2FA', 'V', '+15550001111']) {
    assert.equal(read({ ...TEXT, From: from }).from, from);
  }
});

test('a number of the messaging service is ours', () => {
  assert.equal(read({ ...TEXT, To: '+15550002222', MessagingServiceSid: SERVICE }).to, '+15550002222');
});

test('WhatsApp, by number and by user id', () => {
  const whatsapp = { ...TEXT, To: 'whatsapp:+15550001111' };
  const known = read({ ...whatsapp, From: 'whatsapp:+14155550123' });
  assert.deepEqual([known.channel, known.from, known.to], ['whatsapp', '+14155550123', '+15550001111']);
  for (const id of ['US.ABC123XYZ', 'DE.13491208655302741918', 'US.ENT.11815799212886844830']) {
    assert.equal(read({ ...whatsapp, From: `whatsapp:${id}` }).from, id);
  }
});

test('a picture-only message has no Body and carries SmsStatus=received all the same', () => {
  const inbound = read({
    ...without('Body'),
    MessageSid: SID.replace('SM', 'MM'),
    NumMedia: '1',
    MediaUrl0: 'https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1',
    MediaContentType0: 'image/jpeg',
  });
  assert.equal(inbound.text, '');
  assert.deepEqual(inbound.media, [
    { url: 'https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1', contentType: 'image/jpeg' },
  ]);
});

test('only media at the carrier are kept, ten at most', () => {
  const kept = ['https://mms.twilio.com/a', 'http://127.0.0.1:8006/media/1'];
  const dropped = [
    'http://api.twilio.com/a',
    'https://api.twilio.com.evil.example/a',
    'https://eviltwilio.com/a',
    'https://user:pass@api.twilio.com/a',
    'https://api.twilio.com:8443/a',
    'http://127.0.0.1:8005/metrics',
    'http://169.254.169.254/latest/meta-data',
    'file:///etc/passwd',
    'nonsense',
  ];
  const withMedia = (urls: string[]) =>
    read({
      ...TEXT,
      NumMedia: String(urls.length),
      ...Object.fromEntries(urls.map((url, n) => [`MediaUrl${n}`, url])),
      MediaContentType0: 'text/html\r\nX: y',
    }).media;
  assert.deepEqual(
    withMedia([...kept, ...dropped].slice(0, 10)).map((media) => media.url),
    kept,
  );
  assert.deepEqual(withMedia(dropped), []);
  assert.equal(withMedia(kept)[0]?.contentType, 'application/octet-stream');
  assert.equal(withMedia(Array.from({ length: 12 }, (_, n) => `https://api.twilio.com/${n}`)).length, 10);
  assert.deepEqual(read({ ...TEXT, NumMedia: '3' }).media, []);
});

test('text is made storable and is bounded', () => {
  assert.equal(read({ ...TEXT, Body: 'a\0b\u202e\x1b[31m' }).text, 'a\uFFFDb\u202e\x1b[31m');
  assert.equal(storable('x\ud83d'), 'x\uFFFD');
  const emoji = read({ ...TEXT, Body: `a${'😀'.repeat(20_000)}` }).text;
  assert.equal(emoji.length, 16_383, 'cut before the pair that does not fit');
  assert.ok(emoji.isWellFormed() && emoji.endsWith('😀'));
  assert.equal(cut('abc', 3), 'abc');
});

test('buttons and locations have words of their own', () => {
  assert.equal(read({ ...TEXT, Body: '', ButtonText: 'Yes please', ButtonPayload: 'yes' }).text, 'Yes please');
  assert.equal(read({ ...TEXT, Body: 'typed', ButtonText: 'Yes' }).text, 'typed');
  const place = { ...TEXT, Body: '', Latitude: '48.8584', Longitude: '2.2945' };
  assert.equal(
    read({ ...place, Label: 'Eiffel Tower', Address: 'Paris' }).text,
    'Eiffel Tower, Paris (48.8584, 2.2945)',
  );
  assert.equal(read(place).text, '(48.8584, 2.2945)');
  assert.equal(read({ ...TEXT, Body: '', Latitude: '48.8584' }).text, '');
});

test('an opt-out that Twilio has answered is marked, and only by its three names', () => {
  for (const type of ['STOP', 'START', 'HELP'] as const)
    assert.equal(read({ ...TEXT, OptOutType: type }).optOutHandled, type);
  assert.equal(read({ ...TEXT, OptOutType: 'OTHER' }).optOutHandled, null);
});

test('keywords that the carrier answers itself are marked, on SMS only, unless that is turned off', () => {
  const marked = (fields: Fields, ours = OURS) =>
    readInbound(parseForm(Buffer.from(new URLSearchParams({ ...TEXT, ...fields }).toString())), PATH, ours)
      .optOutHandled;
  assert.equal(marked({ Body: ' stop ' }), 'STOP');
  assert.equal(marked({ Body: 'Unstop' }), 'START');
  assert.equal(marked({ Body: 'INFO' }), 'HELP');
  assert.equal(marked({ Body: 'Stop.' }), null);
  assert.equal(marked({ Body: 'toString' }), null);
  assert.equal(marked({ Body: 'STOP' }, { ...OURS, carrierAnswersKeywords: false }), null);
  assert.equal(marked({ Body: 'whatever', OptOutType: 'HELP' }), 'HELP');
});
