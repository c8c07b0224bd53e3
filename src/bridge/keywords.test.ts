import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bareWord, choiceOf, isYes, keywordOf, wordProblem } from './keywords.ts';

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

const words = { SALES: { type: 'sales' }, ADA: { agent: 'Ada' } };
const CHOICES: readonly [string, ReturnType<typeof choiceOf>][] = [
  ['agents', { kind: 'list' }],
  ['Agents?', { kind: 'list' }],
  ['Sales!', { kind: 'word', target: { type: 'sales' } }],
  ['ada', { kind: 'word', target: { agent: 'Ada' } }],
  ['use Ada', { kind: 'use', name: 'Ada' }],
  ['  USE   grace hopper', { kind: 'use', name: 'grace hopper' }],
  // Whether an agent has that name is found out later.
  ['use my card', { kind: 'use', name: 'my card' }],
  ['use', null],
  ['use …', null],
  ['used Ada', null],
  ['sales were good', null],
  ['the agents', null],
  ['STOP', null],
  ['help', null],
  ['yes', null],
  ['constructor', null],
  [`use ${'a'.repeat(100)}`, null],
];

for (const [text, choice] of CHOICES) {
  test(`${JSON.stringify(text)} chooses ${choice === null ? 'nothing' : JSON.stringify(choice)}`, () => {
    assert.deepEqual(choiceOf(text, { isOffered: true, words }), choice);
  });
}

test('where choosing by name is off, only the words of the number count', () => {
  const off = { isOffered: false, words };
  assert.equal(choiceOf('agents', off), null);
  assert.equal(choiceOf('use Ada', off), null);
  assert.deepEqual(choiceOf('SALES', off), { kind: 'word', target: { type: 'sales' } });
});

test('a word of a number must not mean something already, however it is written', () => {
  for (const word of [
    'STOP',
    'st.op',
    'Opt Out',
    'ＨＥＬＰ',
    'arrêt',
    'end',
    'Info',
    'yes',
    'YES!',
    'agents',
    'use',
    'More',
  ])
    assert.match(wordProblem(word) ?? 'taken', /already|by its name/, word);
  for (const word of ['', '!!!', 'a'.repeat(31)]) assert.notEqual(wordProblem(word), null, word);
  for (const word of ['SALES', 'ride home', 'Café', '24']) assert.equal(wordProblem(word), null, word);
});

test('property: no word of a number ever keeps a STOP, a HELP or a YES from being heard', () => {
  const said = fc.constantFrom('STOP', 'stop.', 'Unsubscribe', 'HELP', 'info', 'START', 'reset', 'MORE', 'yes');
  fc.assert(
    fc.property(said, fc.dictionary(fc.string(), fc.constant({ type: 'sales' })), (text, given) => {
      const all = { ...given, [bareWord(text)]: { type: 'sales' } };
      assert.equal(choiceOf(text, { isOffered: true, words: all }), null);
    }),
  );
});
