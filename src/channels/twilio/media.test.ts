import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Agent } from 'undici';
import { startScriptedApi } from '../../../test/support/scripted-api.ts';
import type { Channel } from '../channel.ts';
import { MAX_MEDIA_BYTES } from './media.ts';
import { createTwilioChannel } from './twilio.ts';

const PICTURE = Buffer.from('not really a picture');
let api: Awaited<ReturnType<typeof startScriptedApi>>;
let elsewhere: Awaited<ReturnType<typeof startScriptedApi>>;
let channel: Channel;
const http = new Agent();

before(async () => {
  api = await startScriptedApi();
  elsewhere = await startScriptedApi((response) =>
    response.writeHead(200, { 'content-type': 'image/png' }).end(PICTURE),
  );
  channel = createTwilioChannel({
    accountSid: `AC${'1'.repeat(32)}`,
    authTokens: ['0123456789abcdef'],
    publicUrl: 'https://sms.example.com',
    apiUrl: api.url,
    messagingServiceSid: null,
    ourNumbers: () => new Set(),
    http,
    mediaHttp: http,
  });
});
after(async () => {
  await Promise.all([api.close(), elsewhere.close(), http.close()]);
});

const fetchMedia = (url: string) => channel.fetchMedia(url, AbortSignal.timeout(10_000));

test('media is fetched with our credential, and behind a redirect without it', async () => {
  api.script = (response) => response.writeHead(307, { location: `${elsewhere.url}/picture.png` }).end();
  const fetched = await fetchMedia(`${api.url}/Media/1`);
  assert.deepEqual(fetched, { contentType: 'image/png', bytes: PICTURE });
  assert.match(api.asked.at(-1)!.authorization, /^Basic /);
  assert.equal(elsewhere.asked.at(-1)!.authorization, '');
});

test('nothing is fetched from any other host, and the credential goes nowhere', async () => {
  const before = elsewhere.asked.length;
  for (const url of [`${elsewhere.url}/x`, 'https://api.twilio.com.evil.example/x', 'file:///etc/passwd', 'nonsense']) {
    assert.equal(await fetchMedia(url), null);
  }
  assert.equal(elsewhere.asked.length, before);
});

test('what is gone, too large or redirected in a circle is nothing', async () => {
  api.script = (response) => response.writeHead(404).end();
  assert.equal(await fetchMedia(`${api.url}/gone`), null);
  api.script = (response) => response.writeHead(200).end(Buffer.alloc(MAX_MEDIA_BYTES + 1));
  assert.equal(await fetchMedia(`${api.url}/large`), null);
  api.script = (response) => response.writeHead(302, { location: '/again' }).end();
  assert.equal(await fetchMedia(`${api.url}/circle`), null);
});
