import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkIsValid, linkKey, signLink } from './links.ts';

const KEY = linkKey(Buffer.alloc(32, 7));
const UNTIL = new Date('2026-01-02T00:00:00Z');
const BEFORE = new Date('2026-01-01T00:00:00Z');
const proof = signLink(KEY, 'media/a/0', UNTIL);

test('a link opens its own subject until it expires', () => {
  assert.equal(linkIsValid(KEY, 'media/a/0', proof, BEFORE), true);
  assert.equal(linkIsValid(KEY, 'media/a/0', proof, UNTIL), false);
});

test('a link opens nothing else, with no other key and in no other shape', () => {
  const later = `${(UNTIL.getTime() / 1000 + 1e6).toString(36)}.${proof.split('.')[1]}`;
  assert.equal(linkIsValid(KEY, 'media/a/1', proof, BEFORE), false);
  assert.equal(linkIsValid(linkKey(Buffer.alloc(32, 8)), 'media/a/0', proof, BEFORE), false);
  for (const bad of ['', '.', later, `${proof}A`, proof.slice(0, -1), `x${proof}`, proof.replace('.', '')]) {
    assert.equal(linkIsValid(KEY, 'media/a/0', bad, BEFORE), false, bad);
  }
});
