import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DarkspereError } from '../../errors.ts';
import { parseForm, single } from './form.ts';

const parse = (text: string) => parseForm(Buffer.from(text));

test('reads names, values, spaces and empty values', () => {
  const form = parse('Body=a+b%20c%2B%C3%A9&Empty=&Alone&&=nameless&Body=again');
  assert.deepEqual(
    [...form],
    [
      ['Body', ['a b c+é', 'again']],
      ['Empty', ['']],
      ['Alone', ['']],
      ['', ['nameless']],
    ],
  );
  assert.equal(parse('').size, 0);
  assert.deepEqual(parse('a=b=c').get('a'), ['b=c']);
});

test('reads back whatever URLSearchParams writes', () => {
  const pairs = fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' })), { maxLength: 30 });
  fc.assert(
    fc.property(pairs, (fields) => {
      const well = fields.map(([name, value]) => [name.toWellFormed(), value.toWellFormed()] as [string, string]);
      const expected = new Map<string, string[]>();
      for (const [name, value] of well) expected.set(name, [...(expected.get(name) ?? []), value]);
      assert.deepEqual([...parse(new URLSearchParams(well).toString())], [...expected]);
    }),
  );
});

test('refuses what cannot be decoded', () => {
  const latin1 = Buffer.from('Body=caf\xe9', 'latin1');
  const halfSurrogate = 'Body=%ED%A0%80';
  for (const body of [
    latin1,
    ...['a=%', 'a=%zz', 'a=%C3', 'a=%E9', 'a=%C0%80', halfSurrogate, '%=a'].map((t) => Buffer.from(t)),
  ]) {
    assert.throws(() => parseForm(body), { code: 'malformed_body' });
  }
});

test('takes 200 fields and not one more', () => {
  assert.equal(parse(Array.from({ length: 200 }, (_, n) => `f${n}=x`).join('&')).size, 200);
  assert.throws(() => parse(Array.from({ length: 201 }, (_, n) => `f${n}=x`).join('&')), { code: 'malformed_body' });
  assert.throws(() => parse('&'.repeat(500_000)), { code: 'malformed_body' });
});

test('a name of the prototype is only a name', () => {
  const form = parse('__proto__=x&constructor=y&__proto__[polluted]=1');
  assert.equal(single(form, '__proto__'), 'x');
  assert.equal(single(form, 'toString'), null);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('a field given twice is refused by name, even with the same value', () => {
  assert.throws(
    () => single(parse('Body=x&Body=x'), 'Body'),
    (error) => error instanceof DarkspereError && error.code === 'webhook_malformed' && error.param === 'Body',
  );
});
