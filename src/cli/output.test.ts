import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonLine, printable } from './output.ts';

test('no text can reach the terminal with anything it would obey', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = printable(text);
      for (const character of shown) {
        const code = character.codePointAt(0)!;
        assert.ok(code === 10 || (code >= 32 && !(code >= 0x7f && code <= 0x9f)), `U+${code.toString(16)}`);
      }
    }),
  );
  assert.equal(printable('a\u001b[2Jb\u001b]0;title\u0007c\u009b31md\u202ee'), 'abcde');
  assert.equal(printable('héllo 👩‍👩‍👧 ✓'), 'héllo 👩‍👩‍👧 ✓', 'ordinary text is untouched');
});

test('JSON lines carry no control characters either, and are still JSON', () => {
  const event = { body: '\u001b[2J \u009b31m \u2028 \u202e \n' };
  const line = jsonLine(event);
  assert.match(line, /^[\u0020-\u007e]*$/);
  assert.deepEqual(JSON.parse(line), event);
});
