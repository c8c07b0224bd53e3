import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snippetOf } from './snippet.ts';

/** Found words in brackets. */
const shown = (body: string, words: string) =>
  snippetOf(body, words)
    .map(({ text, isFound }) => (isFound ? `[${text}]` : text))
    .join('');

const CASES: readonly (readonly [string, string, string])[] = [
  ['Where is my parcel?', 'PARCEL', 'Where is my [parcel]?'],
  ['parcel and parcel', 'parcel', '[parcel] and [parcel]'],
  ['Where is it?', 'SM0123', 'Where is it?'],
  ['', 'words', ''],
  ['aaaa', 'aa', '[aa][aa]'],
  // Turkish letters grow when they are lowered.
  ['İİİ parcel', 'parcel', 'İİİ parcel'],
  ['<b>.*</b>', '.*', '<b>[.*]</b>'],
];
for (const [body, words, expected] of CASES) {
  test(`${words} in ${JSON.stringify(body)}`, () => assert.equal(shown(body, words), expected));
}

test('of a long text what stands around the words is shown, from the beginning of a word', () => {
  const long = `${'before '.repeat(50)}needle${' after'.repeat(50)}`;
  const found = shown(long, 'needle');
  assert.match(found, /^…before before (before )?\[needle\] after/);
  assert.ok(found.length < 200);
  assert.match(shown(`${'😀'.repeat(50)}needle`, 'needle'), /^…\[needle\]$/);
});
