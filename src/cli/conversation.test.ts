import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { render, wrap } from './conversation.ts';
import type { PhoneEvent } from './phone-line.ts';

const PERSON = '+15557770001';
const reply: PhoneEvent = {
  type: 'status',
  sid: 'SM1',
  from: '+15550001111',
  to: PERSON,
  body: 'hello',
  status: 'delivered',
  segments: 1,
  at: '2026-01-01T10:00:00.000Z',
};
const plain = { bubbles: false, color: false, columns: 80 };

test('only states in which a text stays are printed', () => {
  assert.equal(render({ ...reply, status: 'sent' }, PERSON, plain), null);
  assert.equal(render({ ...reply, type: 'text-out', status: 'queued' }, PERSON, plain), null);
  assert.match(render(reply, PERSON, plain) ?? '', /\+15550001111 → you {2}hello {2}delivered$/);
});

test('a terminal shows replies as bubbles, in colour only where colour is wanted', () => {
  const long = { ...reply, body: `${'word '.repeat(40)}end`, segments: 2 };
  const bubble = render(long, PERSON, { bubbles: true, color: false, columns: 60 }) ?? '';
  const lines = bubble.split('\n');
  assert.match(lines[1]!, /^ {2}╭$/);
  assert.match(lines.at(-1)!, /^ {2}╰ delivered · 2 segments$/);
  assert.ok(lines.slice(2, -1).every((line) => line.startsWith('  │ ') && line.length <= 60));
  assert.ok(!bubble.includes('\u001b'));
  assert.ok(render(long, PERSON, { bubbles: true, color: true, columns: 60 })?.includes('\u001b[32mdelivered'));
});

test('wrapping loses no word and no line', () => {
  const texts = fc.array(fc.string({ maxLength: 30 }), { maxLength: 12 }).map((words) => words.join(' '));
  fc.assert(
    fc.property(texts, fc.integer({ min: 20, max: 72 }), (text, width) => {
      const lines = wrap(text, width);
      assert.equal(lines.join('').replaceAll(/\s/g, ''), text.replaceAll(/\s/g, ''));
      for (const line of lines) assert.ok([...line].length <= width || !line.includes(' '));
    }),
  );
});
