import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashKey, newApiKey, sameSecret } from './keys.ts';

test('a key carries its prefix and 256 random bits', () => {
  const keys = new Set(Array.from({ length: 100 }, () => newApiKey('dsp_agent_')));
  assert.equal(keys.size, 100);
  for (const key of keys) assert.match(key, /^dsp_agent_[\w-]{43}$/);
});

test('a stored key is the SHA-256 of its text', () => {
  assert.equal(hashKey('abc').toString('hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('secrets of any length compare, and only equal ones are the same', () => {
  assert.equal(sameSecret('secret', 'secret'), true);
  for (const other of ['', 'secre', 'secrets', 'Secret', 'secret\0']) assert.equal(sameSecret(other, 'secret'), false);
});
