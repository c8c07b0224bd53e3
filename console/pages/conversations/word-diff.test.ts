import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { wordDiff } from './word-diff.ts';

test('what came and what went, word by word', () => {
  assert.deepEqual(wordDiff('a table for four at eight', 'a table for two at eight'), [
    { what: 'same', words: 'a table for ' },
    { what: 'gone', words: 'four' },
    { what: 'new', words: 'two' },
    { what: 'same', words: ' at eight' },
  ]);
});

test('without what went it is the new text, without what came the old one', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', ' ', '\n', '  ', 'die', '🎉')).map((words) => words.join(''));
  fc.assert(
    fc.property(text, text, (before, after) => {
      const pieces = wordDiff(before, after);
      const without = (what: string) => pieces.filter((piece) => piece.what !== what).map(({ words }) => words);
      assert.equal(without('gone').join(''), after);
      assert.equal(without('new').join(''), before);
    }),
  );
});

test('texts that are too long for the table are shown as a whole', () => {
  const long = 'word '.repeat(1_000);
  assert.deepEqual(wordDiff(long, 'short'), [
    { what: 'gone', words: long },
    { what: 'new', words: 'short' },
  ]);
});
