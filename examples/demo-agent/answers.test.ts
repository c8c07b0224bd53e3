import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import segments from 'sms-segments-calculator';
import { type Answer, answer, type Question } from './answers.ts';
import { calculate } from './arithmetic.ts';
import { clip, septets, toGsm } from './gsm.ts';

const BUDGET = { maxCharacters: 480, maxSegments: 3 };
const EARLIER: Question['history'] = [
  { role: 'user', content: 'My name is Ada.' },
  { role: 'assistant', content: 'Nice to meet you, Ada.' },
  { role: 'user', content: 'I like cake' },
  { role: 'assistant', content: 'Fine.' },
];

function said(text: string, question: Partial<Question> = {}): Answer {
  const now = new Date('2026-10-03T05:05:00Z');
  return answer({ text, history: EARLIER, mediaCount: 0, reminders: [], now, ...question }, BUDGET);
}

const CASES: readonly (readonly [string, string | RegExp])[] = [
  ['time in Tokyo', 'It is 2:05 PM on Saturday, October 3 in Tokyo (GMT+9).'],
  ['What time is it in New York?', 'It is 1:05 AM on Saturday, October 3 in New York (GMT-4).'],
  ['what’s the time in san francisco', /10:05 PM on Friday, October 2 in San Francisco \(GMT-7\)/],
  ['tokyo time', /2:05 PM/],
  ['time in Asia/Kolkata', /10:35 AM/],
  ['time', /5:05 AM .* in UTC/],
  ['time in blorf', /do not know where "blorf" is/],
  ['dinner time', /did not get that/],
  ['18% of 64.50', '18% of 64.50 = 11.61'],
  ['What is (2 + 3) * 4?', '(2 + 3) * 4 = 20'],
  ['12,345 times 2', '12,345 times 2 = 24,690'],
  ['20% off 80', '20% off 80 = 64'],
  ['(2+3', /bracket seems to be missing/],
  ['1/0', /divide by zero/],
  ['9^9^9', /too big/],
  ['process.exit(1)', /did not get that/],
  ['5 miles in km', '5 miles = 8.04672 km'],
  ['72F to C', '72 F = 22.2222 C'],
  ['0 celsius in fahrenheit', '0 C = 32 F'],
  ['-40 c in f', '-40 C = -40 F'],
  ['100 km/h in mph', '100 km/h = 62.1371 mph'],
  ['how many cups are in a gallon?', '1 gallon = 16 cups'],
  ['convert 3 inches to cm', '3 in = 7.62 cm'],
  ['150 lb in kg', '150 lb = 68.0389 kg'],
  ['5 kg in km', /cannot turn kg/],
  ['-1 k in c', /absolute zero/],
  ['what did I say?', 'You said: "I like cake"'],
  ['what did I say first?', 'You said: "My name is Ada."'],
  ['what did you say?', 'I said: "Fine."'],
  ["what's my name?", 'Your name is Ada.'],
  ['My name is Grace', /Nice to meet you, Grace\./],
  ['are you a human?', /a program, not a person/],
  ['MORE', /^Here is what I can do/],
  ['hello', /^Hello again/],
  ['thanks!', "You're welcome!"],
  ['remind me at 5pm', /only count time/],
  ['remind me in 900 days to age', /7 days at the latest/],
  ['my reminders', /no reminders/],
  ['qwerty', /^I'm only a small demo program .*Try "time in Tokyo"/],
];

describe('the demo agent answers', () => {
  for (const [text, expected] of CASES) {
    it(text, () => {
      const answered = said(text).text;
      if (typeof expected === 'string') assert.equal(answered, expected);
      else assert.match(answered, expected);
    });
  }

  it('greets in the first text of a session, saying that it is a program', () => {
    for (const text of ['hi', 'qwerty', 'time in Tokyo']) {
      const { text: greeting } = said(text, { history: [] });
      assert.match(greeting, /^Hi! I'm the Darkspere demo agent: a program, not a person and not an LLM\.\n/);
    }
    assert.match(said('2+2', { history: [] }).text, /\n2\+2 = 4\n/);
  });

  it('answers each line of a burst that makes sense', () => {
    assert.equal(said('one sec\n2+2\n5 ft in m\n2+2').text, '2+2 = 4\n5 ft = 1.524 m');
    assert.equal(said('my name is Bob\nwhat is my name').text.split('\n')[1], 'Your name is Bob.');
    assert.match(said('time in\nParis').text, /7:05 AM/);
  });

  it('tells a picture from words', () => {
    assert.match(said('', { mediaCount: 1 }).text, /Thanks for the picture/);
  });

  it('sets reminders in many words', () => {
    const minute = 60_000;
    const spans: [string, { text: string; inMs: number }][] = [
      ['remind me in 10 seconds to stretch', { text: 'stretch', inMs: 10_000 }],
      ['Remind me in 2 minutes to call Bob in Sales.', { text: 'call Bob in Sales', inMs: 2 * minute }],
      ['please remind me to drink in an hour', { text: 'drink', inMs: 60 * minute }],
      ['remind me in half an hour about the soup', { text: 'the soup', inMs: 30 * minute }],
      ['remind me in five mins', { text: 'this is the reminder you asked for', inMs: 5 * minute }],
      ['remind me in 1.5h to go', { text: 'go', inMs: 90 * minute }],
    ];
    for (const [text, reminder] of spans) assert.deepEqual(said(text).reminders, [reminder], text);
  });

  it('lists, limits and cancels reminders', () => {
    const dueMs = Date.parse('2026-10-03T05:07:00Z');
    const reminders = Array.from({ length: 5 }, () => ({ text: 'stretch', dueMs }));
    assert.match(said('my reminders', { reminders }).text, /^Your reminders:\n- stretch \(in 2 min\)/);
    const full = said('remind me in 10 seconds to x', { reminders });
    assert.match(full.text, /5 reminders at most/);
    assert.deepEqual(full.reminders, []);
    assert.equal(said('cancel my reminders', { reminders }).forget, true);
  });

  it('stays within GSM-7 and three segments, whatever it is asked', () => {
    const any = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.constantFrom('what did I say?', 'what did you say?', "what's my name?", 'my reminders', 'MORE'),
      fc.string({ unit: 'grapheme', maxLength: 60 }).map((what) => `remind me in 10 seconds to ${what}`),
    );
    fc.assert(
      fc.property(any, any, fc.boolean(), (text, before, first) => {
        const history = first ? [] : ([...EARLIER, { role: 'user', content: before }] as const);
        const { text: answered } = said(text, { history });
        assert.ok(answered.length > 0);
        const counted = new segments.SegmentedMessage(answered);
        assert.equal(counted.encodingName, 'GSM-7', answered);
        assert.ok(counted.segmentsCount <= 3, answered);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps a smaller budget', () => {
    const question = { text: 'MORE', history: EARLIER, mediaCount: 0, reminders: [], now: new Date() };
    assert.ok(answer(question, { maxCharacters: 50, maxSegments: 3 }).text.length <= 50);
    assert.ok(septets(answer({ ...question, history: [] }, { maxCharacters: 480, maxSegments: 1 }).text) <= 160);
  });
});

describe('sums', () => {
  const SUMS: readonly (readonly [string, number])[] = [
    ['1 + 2 * 3', 7],
    ['2 ^ 3 ^ 2', 512],
    ['-2 ^ 2', -4],
    ['(-2) ^ 2', 4],
    ['10 % 3', 1],
    ['10 % (2 + 1)', 1],
    ['10 mod 4', 2],
    ['50% * 8', 4],
    ['100 + 10%', 110],
    ['100 - 10% - 10%', 81],
    ['10% + 5%', 0.15],
    ['200 * 5% + 1', 11],
    ['8 / 2 / 2', 2],
    ['- - 3 + 1', 4],
    ['3 squared plus 4 squared', 25],
    ['$1,000 / 3.2', 312.5],
    ['.5 x 4', 2],
  ];
  for (const [text, value] of SUMS) {
    it(`${text} is ${value}`, () => {
      const sum = calculate(text);
      assert.ok(sum?.kind === 'value', JSON.stringify(sum));
      assert.ok(Math.abs(sum.value - value) < 1e-9, String(sum.value));
    });
  }

  it('are no sums without a number or an operator', () => {
    for (const text of ['', '42', '+', '()', 'abc', '2 + x', 'a+b', '1e5 + 1'])
      assert.equal(calculate(text), null, text);
  });

  it('agree with JavaScript on fully bracketed expressions', () => {
    const { tree } = fc.letrec<{ tree: string }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.integer({ min: 0, max: 999 }).map(String),
        fc.tuple(tie('tree'), fc.constantFrom('+', '-', '*'), tie('tree')).map(([a, sign, b]) => `(${a}${sign}${b})`),
      ),
    }));
    fc.assert(
      fc.property(tree, (text) => {
        fc.pre(text.includes('(') && text.length <= 200);
        // The tree holds digits, brackets and three operators only.
        assert.deepEqual(calculate(text), { kind: 'value', value: new Function(`return ${text}`)() });
      }),
    );
  });
});

describe('GSM-7', () => {
  it('keeps what is in the alphabet and replaces the rest', () => {
    assert.equal(toGsm('“Zoë” — naïve… 5€'), '"Zoe" - naive... 5€');
    assert.equal(toGsm('ok 👍🏽 日本'), 'ok ? ?');
  });

  it('cuts by septets, not by characters', () => {
    assert.equal(clip('€€€€€', 9), '€€€...');
    assert.equal(clip('abc', 3), 'abc');
  });
});
