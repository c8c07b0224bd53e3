import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frames } from './frames.ts';

const message = (type: string, body: Uint8Array) => {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

test('messages are found whatever pieces the stream comes in, and only the wanted ones', () => {
  const stream = fc.array(
    fc.record({ type: fc.constantFrom('Z', 'S', 'E', 'D', 'T'), body: fc.uint8Array({ maxLength: 40 }) }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(stream, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (messages, sizes) => {
      const bytes = Buffer.concat(messages.map(({ type, body }) => message(type, body)));
      const found: string[] = [];
      const feed = frames(['Z', 'S'], (type, body) => found.push(type + body.toString('hex')));
      for (let at = 0, n = 0; at < bytes.length; n++) {
        const size = sizes[n % sizes.length]!;
        feed(bytes.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(
        found,
        messages
          .filter(({ type }) => type === 'Z' || type === 'S')
          .map(({ type, body }) => type + Buffer.from(body).toString('hex')),
      );
    }),
  );
});
