import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { toGsm7Friendly, toPlainText, toTextMessage } from './plain-text.ts';
import { isGsm7 } from './segments.ts';

const STRIPPED: [string, string][] = [
  ['# Title\ntext', 'Title\ntext'],
  ['### **Title** ###\n\ntext', 'Title\n\ntext'],
  ['# C#', 'C#'],
  ['Title\n=====\ntext', 'Title\n\ntext'],
  ['**bold** and __bold__', 'bold and bold'],
  ['*it* and _it_', 'it and it'],
  ['***both***', 'both'],
  ['**a *b***', 'a b'],
  ['*a **b***', 'a b'],
  ['***a** b*', 'a b'],
  ['**Note:** call now', 'Note: call now'],
  ['**Note:**call', 'Note:call'],
  ['**bold\nover lines**', 'bold\nover lines'],
  ['这是**重点**内容', '这是重点内容'],
  ['**Note: pass *args along** now', 'Note: pass *args along now'],
  ['~~old~~ new', 'old new'],
  ['call `f(x)` now', 'call f(x) now'],
  ['`` a`b ``', 'a`b'],
  ['`**kwargs` and `a_b`', '**kwargs and a_b'],
  ['```js\nconst a = 1;\n\n# not a title\n```\nafter', 'const a = 1;\n\n# not a title\nafter'],
  ['~~~\n*a*\n~~~', '*a*'],
  ['```\nnever closed *a*', 'never closed *a*'],
  ['> ```\n> code > x\n> ```', 'code > x'],
  ['[our site](https://x.ch/a_b)', 'our site (https://x.ch/a_b)'],
  ['[**bold**](https://x.ch "Title")', 'bold (https://x.ch)'],
  ['[https://x.ch](https://x.ch)', 'https://x.ch'],
  ['[x.ch](https://x.ch/)', 'https://x.ch/'],
  ['[a@b.ch](mailto:a@b.ch)', 'a@b.ch'],
  ['[call us](tel:+41791234567)', 'call us (+41791234567)'],
  ['[top](#top)', 'top'],
  ['[](https://x.ch)', 'https://x.ch'],
  ['[wiki](https://x.ch/A_(b))', 'wiki (https://x.ch/A_(b))'],
  ['<https://x.ch/a_b_c> <a@b.ch>', 'https://x.ch/a_b_c a@b.ch'],
  ['![a cat](https://x.ch/c.png)', 'a cat (https://x.ch/c.png)'],
  ['![](https://x.ch/c.png)', 'https://x.ch/c.png'],
  ['[![alt](https://i.ch)](https://x.ch)', 'alt (https://i.ch) (https://x.ch)'],
  ['**https://x.ch/a**', 'https://x.ch/a'],
  ['_https://x.ch/a_b_', 'https://x.ch/a_b'],
  ['https://x.ch/?a=1&amp;b=2', 'https://x.ch/?a=1&b=2'],
  ['* one\n* **two**\n  * three', '- one\n- two\n  - three'],
  ['-   one', '- one'],
  ['1. one\n2. *two*', '1. one\n2. two'],
  ['> quoted\n> > twice\n\nfree', 'quoted\ntwice\n\nfree'],
  ['above\n\n---\n\nbelow', 'above\n\nbelow'],
  ['| Plan | Price |\n|:---|---:|\n| **Pro** | $29 |\n| Free | |', 'Plan - Price\nPro - $29\nFree'],
  ['a<br>b<br/>c', 'a\nb\nc'],
  ['Tom &amp; Jerry &lt;3 &quot;hi&quot; &#39;', 'Tom & Jerry <3 "hi" \''],
  ['&amp;lt;', '&lt;'],
  ['\\*not\\* 1\\. a\\_b', '*not* 1. a_b'],
  ['a\n\n\n\n\nb', 'a\n\nb'],
  ['\n\n  a  \r\nb\t\n', '  a\nb'],
];

const ORDINARY = [
  '2 * 3 * 4',
  '2*3*4 and 3*x + 4*y',
  '2**3**2',
  'snake_case_name and a_b',
  'C# and F#',
  '#1 in town',
  '#hashtag',
  '5 > 3 and 2 < 4',
  '>3 people',
  '*',
  'a * b',
  '~5 min, ~10 km',
  'It costs $5.00 (or 3,50 EUR) - 20% off!',
  'https://example.com/a_b_c/_d_?x=_y_&z=*1',
  'http://x.ch/a_b and http://x.ch/c_d',
  '1. one\n2. two',
  ':-* and :* you',
  '^_^ -_- >_< *_* T_T (>_<) (>_<)',
  'Price* and tax* apply',
  '*Terms apply',
  'a 5* hotel, a 4* hotel',
  'f(*args, **kwargs)',
  'src/*.ts and lib/*',
  '(*) see (*)',
  'Name: ____ Date: ____',
  'what the f*** and s**t',
  'a | b | c',
  '+ 5 apples',
  '-5 degrees',
  '<b>tags</b> stay <3',
  'AT&T & Co; R&D',
  'a [b] c [d](e f)',
  '[ ] todo [x] done',
  'wait... what?!',
  '@_user_ and user_',
  "it's 5 o'clock",
  'C:\\temp\\new',
  '1) one',
  '$a_1$ = 5',
  'a ~~ b',
  'unclosed **bold',
  'unclosed `code',
  'x = [1, 2](',
  '![',
];

describe('toPlainText', () => {
  for (const [markdown, plain] of STRIPPED) {
    it(JSON.stringify(markdown), () => assert.equal(toPlainText(markdown), plain));
  }
  for (const text of ORDINARY) {
    it(`leaves ${JSON.stringify(text)}`, () => assert.equal(toPlainText(text), text));
  }

  it('leaves prose without Markdown characters alone', () => {
    const word = fc.string({
      unit: fc.constantFrom(...'abcXYZ019.,;:?!%@$"\'()/+=äöüéèàñßΩÇ£€{}^'),
      minLength: 1,
      maxLength: 8,
    });
    const prose = fc.array(fc.array(word, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(prose, fc.constantFrom('\n', '\n\n'), (lines, gap) => {
        const text = lines.map((words) => words.join(' ')).join(gap);
        assert.equal(toPlainText(text), text);
        assert.equal(toTextMessage(text), text);
      }),
    );
  });

  it('is finished after one pass over an ordinary answer', () => {
    const words = fc.array(fc.constantFrom('you', 'pay', '5', 'now', 'x_y', '3 * 4', 'Zürich', 'C#'), {
      minLength: 1,
      maxLength: 5,
    });
    const phrase = words.map((list) => list.join(' '));
    const marked = fc.oneof(
      phrase,
      ...['**', '*', '_', '***', '`', '~~'].map((mark) => phrase.map((text) => `so ${mark}${text}${mark}.`)),
      phrase.map((text) => `[${text}](https://x.ch/a_b)`),
    );
    const block = fc.oneof(
      marked,
      ...['# ', '> ', '* ', '- ', '1. '].map((mark) => marked.map((text) => mark + text)),
      fc.constant('---'),
      fc.tuple(marked, marked).map(([a, b]) => `| ${a} | ${b} |\n|---|---|\n| ${b} | ${a} |`),
    );
    fc.assert(
      fc.property(fc.array(block, { maxLength: 6 }), (blocks) => {
        const once = toTextMessage(blocks.join('\n\n'));
        assert.equal(toTextMessage(once), once);
      }),
      { numRuns: 500 },
    );
  });

  it('answers for a megabyte of every marker', () => {
    const pieces = [
      ...['*', '[', '`', '<', '_', '~', '!', ']', '\\', '&', '#', '>', '|', '-', ' ', '\n', '\u001b['],
      ...[
        '*a ',
        'a* ',
        '**a ',
        '_a ',
        '[a](',
        '[a](b',
        '[a](b ',
        '![',
        '[![a](b)',
        '](u)',
        '![a](u)',
        '`a``',
        '`a ``b ```c ',
      ],
      ...[
        '<https://x',
        '<a@',
        '<br ',
        '&amp',
        '> ',
        '>x',
        '- ',
        '| a |\n',
        '|-',
        '|-|\n',
        '```\n',
        'a\n',
        '***a** ',
        '*a _b ',
        '[](a(b)',
      ],
    ];
    for (const piece of pieces) {
      for (const prefix of ['', 'x ']) {
        const text = prefix + piece.repeat(Math.ceil(1_000_000 / piece.length));
        assert.ok(toTextMessage(text).length <= text.length);
      }
    }
    for (const nested of [`${'['.repeat(2e5)}${'](u)'.repeat(2e5)}`, `${'![a'.repeat(2e5)}${'](u)'.repeat(2e5)}`]) {
      assert.ok(toTextMessage(nested).length > 0);
    }
    // Backtick runs of every length, none of which closes another.
    const runs = Array.from({ length: 1400 }, (_, i) => '`'.repeat(i + 1)).join('a');
    assert.equal(toPlainText(`x ${runs}`), `x ${runs}`);
  });
});

const FRIENDLY: [string, string][] = [
  ['“Hi” — it’s 5–6 o‘clock…', '"Hi" - it\'s 5-6 o\'clock...'],
  ['wait—what', 'wait - what'],
  ['• one\u00a0two\u2009three', '- one two three'],
  ['a`b', "a'b"],
  ['zero\u200bwidth\ufeff', 'zerowidth'],
  ['e\u0301te\u0301', 'été'],
  ['1½ cups → 2 × ¼', '1 1/2 cups -> 2 x 1/4'],
  ['a\tb\u0007\u0000', 'a b'],
  ['Ç and ç’s', 'Ç and ç’s'],
  ['Привет — “мир”…', 'Привет — “мир”…'],
  ['so “nice” 😀', 'so “nice” 😀'],
  ['👩‍💻\u0000 ok', '👩‍💻 ok'],
  ['a\ud83d b\ude00', 'a b'],
  ['\u001b[31mred\u001b[0m', 'red'],
  ['a\r\nb\rc\fd', 'a\nb\nc\nd'],
];

describe('toGsm7Friendly', () => {
  for (const [text, friendly] of FRIENDLY) {
    it(JSON.stringify(text), () => assert.equal(toGsm7Friendly(text), friendly));
  }

  it('is finished after one pass', () => {
    const pieces = fc.constantFrom(
      'a',
      '“',
      '—',
      '…',
      '½',
      '1',
      '\u200b',
      'ç',
      'e\u0301',
      '😀',
      '\t',
      '\u0000',
      '\ud83d',
      '\ude00',
      '\u001b',
      '[',
      'm',
      '\r',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(pieces).map((list) => list.join('')),
        ),
        (text) => {
          const once = toGsm7Friendly(text);
          assert.equal(toGsm7Friendly(once), once);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('leaves GSM-7 text alone', () => {
    const gsm = Array.from({ length: 0x3000 }, (_, i) => String.fromCharCode(i)).filter(
      (char) => isGsm7(char) && char !== '\r' && char !== '\f',
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...gsm) }), (text) => assert.equal(toGsm7Friendly(text), text)),
    );
  });
});

describe('toTextMessage', () => {
  it('never lets a control character, a terminal code or half a pair out', () => {
    const pieces = fc.constantFrom(
      '*',
      '_',
      '`',
      '[',
      '](',
      ')',
      '<br>',
      '&lt;',
      '\\',
      '\n',
      '# ',
      '> ',
      '|',
      '---',
      '\u0000',
      '\u001b[1m',
      '\ud83d',
      '\ude00',
      '\u009b',
      '\u007f',
      'a',
      '😀',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', size: 'max', maxLength: 200 }),
      fc.array(pieces, { size: 'max', maxLength: 60 }).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(text, (markdown) => {
        const sent = toTextMessage(markdown);
        assert.ok(sent.isWellFormed());
        assert.doesNotMatch(sent, /(?!\n)\p{Cc}/u);
        assert.doesNotMatch(sent, /\n{3}/);
        assert.equal(sent, sent.trim());
      }),
      { numRuns: 3000 },
    );
  });

  it('makes a typical answer one segment’s alphabet', () => {
    const answer =
      '## Opening hours\n\n* **Mon–Fri:** 9–5\n* **Sat:** closed\n\nSee [our page](https://x.ch/hours) — it’s all there…';
    const sent = toTextMessage(answer);
    assert.equal(
      sent,
      "Opening hours\n\n- Mon-Fri: 9-5\n- Sat: closed\n\nSee our page (https://x.ch/hours) - it's all there...",
    );
    assert.ok(isGsm7(sent));
  });
});
