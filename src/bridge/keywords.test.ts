import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isYes, keywordOf } from './keywords.ts';

const CASES: readonly [string, ReturnType<typeof keywordOf>][] = [
  ['STOP', 'stop'],
  ['Stop.', 'stop'],
  ['stop ', 'stop'],
  ['  “STOP!!”\n', 'stop'],
  ['stop all', 'stop'],
  ['STOPALL', 'stop'],
  ['Unsubscribe', 'stop'],
  ['cancel', 'stop'],
  ['END', 'stop'],
  ['quit', 'stop'],
  ['revoke', 'stop'],
  ['opt-out', 'stop'],
  ['OPT OUT', 'stop'],
  ['ARRÊT', 'stop'],
  ['ST\u200bOP', 'stop'],
  ['ＳＴＯＰ', 'stop'],
  ['start', 'start'],
  ['UNSTOP', 'start'],
  ['Help?', 'help'],
  ['info', 'help'],
  ['reset', 'reset'],
  ['more…', 'more'],
  ['please stop', null],
  ['stop the music', null],
  ['don’t stop', null],
  ['', null],
  ['!!!', null],
  ['constructor', null],
  ['toString', null],
  ['yes', null],
];

for (const [text, keyword] of CASES) {
  test(`${JSON.stringify(text)} is ${keyword ?? 'for the agent'}`, () => {
    assert.equal(keywordOf(text), keyword);
  });
}

test('yes is recognised alone only', () => {
  assert.equal(isYes('Yes!'), true);
  assert.equal(isYes('yes please'), false);
});
