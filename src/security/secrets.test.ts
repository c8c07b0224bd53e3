import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { DarkspereError } from '../errors.ts';
import { createSecretBox, loadOrCreateKey } from './secrets.ts';

const refused = (error: unknown) => error instanceof DarkspereError && error.code === 'config_invalid';

test('what is sealed opens again and does not show', () => {
  const box = createSecretBox(randomBytes(32));
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      assert.deepEqual(box.open(box.seal({ value })), JSON.parse(JSON.stringify({ value })));
    }),
  );
  const sealed = box.seal({ signingSecret: 'whsec_visible' });
  assert.equal(sealed.includes('visible'), false);
  assert.notDeepEqual(sealed, box.seal({ signingSecret: 'whsec_visible' }));
});

test('any changed byte, a short buffer and another key are refused', () => {
  const box = createSecretBox(randomBytes(32));
  const sealed = box.seal({ a: 1 });
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at] = changed[at]! ^ 1;
    assert.throws(() => box.open(changed), refused, `byte ${at}`);
  }
  for (const short of [0, 1, 29]) assert.throws(() => box.open(sealed.subarray(0, short)), refused);
  assert.throws(() => createSecretBox(randomBytes(32)).open(sealed), refused);
  assert.throws(() => createSecretBox(randomBytes(16)), refused);
});

test('the key file is made once, private, and a damaged one stops the start', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'darkspere-key-'));
  try {
    const data = join(dir, 'data');
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateKey(data)));
    for (const key of keys) assert.deepEqual(key, keys[0]);
    assert.equal(keys[0]!.length, 32);
    assert.deepEqual(await readdir(data), ['secret.key']);
    assert.equal((await stat(join(data, 'secret.key'))).mode & 0o777, 0o600);
    await writeFile(join(data, 'secret.key'), 'short');
    await assert.rejects(loadOrCreateKey(data), refused);
  } finally {
    await rm(dir, { recursive: true });
  }
});
