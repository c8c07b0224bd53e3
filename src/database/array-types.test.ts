import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ARRAY_TYPES, parseArrayText, toArrayText } from './array-types.ts';

test('what is written is read back, whatever the texts hold', () => {
  const items = fc.array(fc.option(fc.string({ unit: 'binary' })));
  fc.assert(fc.property(items, (values) => assert.deepEqual(parseArrayText(toArrayText(values)), values)));
});

test('what PostgreSQL writes is read: bare items, quoted ones, nulls, nothing', () => {
  assert.deepEqual(parseArrayText('{a,"b c",NULL,"NULL","q\\"\\\\"}'), ['a', 'b c', null, 'NULL', 'q"\\']);
  assert.deepEqual(parseArrayText('{}'), []);
  assert.deepEqual(ARRAY_TYPES.numbers.parse('{1,-2,NULL,0.5}'), [1, -2, null, 0.5]);
});

test('an array of arrays is refused instead of being read wrongly', () => {
  assert.throws(() => parseArrayText('{{1,2},{3,4}}'), RangeError);
});
