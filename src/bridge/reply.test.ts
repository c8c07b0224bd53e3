import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listText, packNotice } from './reply.ts';

test('a text of our own is one part, however long it is', () => {
  // The names are three segments of UCS-2 and end with a sentence, so that it is cut there, with a segment to spare.
  const mine = `Naïve 🤖 bot ${'x'.repeat(36)}0`;
  const names = [
    mine,
    'Süßça xxxx1',
    `Süßça ${'x'.repeat(39)}2`,
    `Łukasz help desk ${'x'.repeat(14)}3`,
    `Süßça ${'x'.repeat(12)}4`,
    `客服 ${'x'.repeat(15)}5`,
  ];
  const { parts } = packNotice(listText(names, mine));
  assert.deepEqual(
    parts.map(({ segments }) => segments),
    [3],
  );
});
