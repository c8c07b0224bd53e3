import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DarkspereError, type ErrorCode } from '../errors.ts';
import { assertReachableAddress, checkUrl, parseCidrs } from './egress-rules.ts';

const nothing = parseCidrs([]);
const loopback = parseCidrs(['127.0.0.0/8', '::1']);

const refusedWith = (code: ErrorCode) => (error: unknown) =>
  error instanceof DarkspereError && error.code === code && error.param === 'endpoint_url';

const PRIVATE_LITERALS = [
  'https://127.0.0.1/',
  'https://2130706433/',
  'https://0x7f.1/',
  'https://0177.0.0.1/',
  'https://127.1/',
  'https://0/',
  'https://[::1]/',
  'https://[::]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[64:ff9b::7f00:1]/',
  'https://[2002:7f00:1::]/',
  'https://[fd00::1]/',
  'https://[fe80::1]/',
  'https://[4000::1]/',
  'https://169.254.169.254/latest/meta-data/',
  'https://100.64.0.1/',
  'https://10.0.0.1/',
  'https://172.16.0.1/',
  'https://192.168.1.1/',
  'https://192.0.2.1/',
  'https://198.18.0.1/',
  'https://224.0.0.1/',
  'https://255.255.255.255/',
];

test('every spelling of a private address is refused', () => {
  for (const url of PRIVATE_LITERALS) assert.throws(() => checkUrl(url, nothing), refusedWith('egress_denied'), url);
});

test('what is not a plain http address is refused with the reason', () => {
  const bad = [
    'file:///etc/passwd',
    'gopher://127.0.0.1:6379/_x',
    'ftp://example.com/',
    'javascript:alert(1)',
    'https://user:pw@example.com/',
    'https://user@example.com/',
    'https://example.com/#',
    'https://example.com/#x',
    'example.com',
    '',
    `https://example.com/${'x'.repeat(2_000)}`,
  ];
  for (const url of bad) assert.throws(() => checkUrl(url, nothing), refusedWith('invalid_request'), url);
});

test('names are resolved, and one private address among public ones is enough to refuse', async () => {
  const resolve = (addresses: string[]) => async () => addresses;
  const reach = (url: string, addresses: string[], allow = nothing) =>
    assertReachableAddress(checkUrl(url, allow), allow, resolve(addresses));
  await reach('https://agent.example/', ['93.184.216.34', '2606:2800:220:1::1']);
  await reach('https://agent.example:8443/', ['93.184.216.34']);
  for (const addresses of [['127.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['::ffff:10.0.0.1'], ['169.254.169.254']]) {
    await assert.rejects(reach('https://agent.example/', addresses), refusedWith('egress_denied'), addresses.join());
  }
  await assert.rejects(reach('http://agent.example/', ['93.184.216.34']), refusedWith('egress_denied'));
  await assert.rejects(reach('https://agent.example:25/', ['93.184.216.34']), refusedWith('egress_denied'));
  await assert.rejects(reach('https://agent.example/', []), refusedWith('invalid_request'));
});

test('the spellings of localhost are refused by the system resolver too', async () => {
  for (const host of ['localhost', 'localhost.', 'LOCALHOST']) {
    const url = checkUrl(`https://${host}:9000/`, nothing);
    await assert.rejects(assertReachableAddress(url, nothing), DarkspereError, host);
  }
});

test('a name that does not resolve is an invalid request', async () => {
  const failing = async () => {
    throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
  };
  const url = checkUrl('https://nowhere.example/', nothing);
  await assert.rejects(assertReachableAddress(url, nothing, failing), refusedWith('invalid_request'));
});

test('the operator list lets its own networks through, http and any port, and nothing else', async () => {
  for (const url of [
    'http://127.0.0.1:25/',
    'http://[::1]:9000/',
    'http://[::ffff:127.0.0.1]:9000/',
    'http://2130706433/',
  ]) {
    await assertReachableAddress(checkUrl(url, loopback), loopback);
  }
  assert.throws(() => checkUrl('http://10.0.0.1/', loopback), refusedWith('egress_denied'));
});

test('a broken list stops the start', () => {
  for (const entry of ['10.0.0.0/33', 'localhost', '', '10.0.0.0/']) {
    assert.throws(
      () => parseCidrs([entry]),
      (error) => error instanceof DarkspereError && error.code === 'config_invalid',
      entry,
    );
  }
});
