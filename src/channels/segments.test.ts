import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import calculator from 'sms-segments-calculator';
import {
  countSegments,
  describeSegments,
  isGsm7,
  MORE_TAIL,
  type PackLimits,
  packReply,
  splitParts,
} from './segments.ts';

const intl = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const graphemesOf = (text: string) => [...intl.segment(text)].map((part) => part.segment);

function twilioCounts(text: string) {
  const message = new calculator.SegmentedMessage(text);
  const units = message.encodedChars.reduce((sum, char) => sum + char.codeUnits.length, 0);
  return { encoding: message.encodingName, segments: message.segmentsCount, units };
}

// Single pieces on which Unicode 10 (Twilio's calculator) and today's Unicode cut the same graphemes.
const PIECES = [
  ...['a', 'Z', '0', ' ', '\n', '\r\n', '.', '@', 'é', 'Ω', 'Ç', '¿'],
  ...['^', '{', '}', '\\', '[', '~', ']', '|', '€', '\f'],
  ...[
    'ç',
    'ж',
    '`',
    '\t',
    '“',
    '—',
    '…',
    '\u00a0',
    '漢',
    'か',
    '한',
    'ب',
    'e\u0301',
    'o\u0308\u0323',
    '\u1112\u1161\u11ab',
  ],
  ...['😀', '👍🏽', '❤️', '🇨🇭', '👩‍💻', '👨‍👩‍👧‍👦', '🏳️‍🌈', '1️⃣', 'क्ष', 'নি', 'ক্ত', 'श्री', 'ക്ഷ'],
];
const GSM_PIECES = PIECES.filter(isGsm7);
const joined = (pieces: string[], maxLength: number) =>
  fc.array(fc.constantFrom(...pieces), { maxLength, size: 'max' }).map((list) => list.join(''));
const anyText = fc.oneof(
  joined(PIECES, 200),
  joined(GSM_PIECES, 500),
  fc.string({ unit: 'binary', maxLength: 300, size: 'max' }),
  fc.string({ unit: 'grapheme', maxLength: 300, size: 'max' }),
);

describe('countSegments', () => {
  const table: [string, string, ReturnType<typeof countSegments>][] = [
    ['an empty text', '', { encoding: 'GSM-7', segments: 1, units: 0 }],
    ['160 septets', 'a'.repeat(160), { encoding: 'GSM-7', segments: 1, units: 160 }],
    ['161 septets', 'a'.repeat(161), { encoding: 'GSM-7', segments: 2, units: 161 }],
    ['306 septets', 'a'.repeat(306), { encoding: 'GSM-7', segments: 2, units: 306 }],
    ['307 septets', 'a'.repeat(307), { encoding: 'GSM-7', segments: 3, units: 307 }],
    [
      'an extension character at the seam',
      `${'a'.repeat(152)}€${'a'.repeat(152)}`,
      { encoding: 'GSM-7', segments: 3, units: 306 },
    ],
    ['80 extension characters', '{'.repeat(80), { encoding: 'GSM-7', segments: 1, units: 160 }],
    ['one backtick', '`', { encoding: 'UCS-2', segments: 1, units: 1 }],
    ['70 units', 'ж'.repeat(70), { encoding: 'UCS-2', segments: 1, units: 70 }],
    ['71 units', 'ж'.repeat(71), { encoding: 'UCS-2', segments: 2, units: 71 }],
    [
      'a surrogate pair at the seam',
      `${'✓'.repeat(66)}😀${'✓'.repeat(66)}`,
      { encoding: 'UCS-2', segments: 3, units: 134 },
    ],
    ['35 emoji', '😀'.repeat(35), { encoding: 'UCS-2', segments: 1, units: 70 }],
    ['36 emoji', '😀'.repeat(36), { encoding: 'UCS-2', segments: 2, units: 72 }],
  ];
  for (const [name, text, expected] of table) {
    it(name, () => {
      assert.deepEqual(countSegments(text), expected);
      assert.deepEqual(twilioCounts(text), expected);
    });
  }

  it('knows exactly the calculator’s alphabet', () => {
    for (let code = 0; code < 0x10000; code++) {
      const char = String.fromCharCode(code);
      assert.equal(isGsm7(char), twilioCounts(char).encoding === 'GSM-7', code.toString(16));
    }
  });

  it('agrees with Twilio’s calculator on mixed scripts, emoji and extension characters', () => {
    fc.assert(
      fc.property(fc.oneof(joined(PIECES, 120), joined(GSM_PIECES, 400)), (text) => {
        assert.deepEqual(countSegments(text), twilioCounts(text));
      }),
      { numRuns: 1500 },
    );
  });

  it('agrees with it around every boundary', () => {
    const seams = [160, 153 * 2, 153 * 3, 70, 67 * 2, 67 * 3, 67 * 4];
    fc.assert(
      fc.property(
        fc.constantFrom('a', 'ж'),
        fc.constantFrom(...seams),
        fc.integer({ min: -14, max: 3 }),
        joined(PIECES, 6),
        (filler, seam, shift, middle) => {
          const text = filler.repeat(seam + shift) + middle + filler.repeat(20);
          assert.deepEqual(countSegments(text), twilioCounts(text));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('packs like it on any Unicode, given today’s graphemes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400, size: 'max' }), (text) => {
        const message = new calculator.SegmentedMessage(text, 'auto');
        const cut = graphemesOf(text).flatMap((grapheme) => (grapheme === '\r\n' ? ['\r', '\n'] : [grapheme]));
        const packed = message._buildSegments(message._encodeChars(cut));
        assert.equal(countSegments(text).segments, packed.length);
      }),
      { numRuns: 1000 },
    );
  });

  it('never counts less than the units need, whatever the graphemes', () => {
    const zalgo = `a${'\u0301'.repeat(400)}`;
    assert.equal(countSegments(zalgo).segments, Math.ceil(401 / 67));
    assert.equal(countSegments('\ud83d'.repeat(100)).segments, 2);
  });

  it('never counts less for a longer prefix', () => {
    fc.assert(
      fc.property(anyText, fc.nat(), (text, cut) => {
        const prefix = text.slice(0, text.length === 0 ? 0 : cut % text.length);
        assert.ok(countSegments(prefix).segments <= countSegments(text).segments);
      }),
      { numRuns: 1000 },
    );
  });
});

const limitsOf = fc.record({
  maxCharacters: fc.integer({ min: 2, max: 400 }),
  maxSegments: fc.integer({ min: 0, max: 12 }),
});

/** Where each part lies in the text, checking that nothing but whitespace lies between. */
function locate(text: string, parts: string[]): { start: number; end: number }[] {
  let at = 0;
  return parts.map((part) => {
    const start = text.indexOf(part, at);
    assert.notEqual(start, -1, 'a part is not in the text');
    assert.equal(text.slice(at, start).trim(), '', 'something was lost before a part');
    at = start + part.length;
    return { start, end: at };
  });
}

function assertWhole(text: string, parts: string[], rest: string, maxCharacters: number) {
  const places = locate(text, rest === '' ? parts : [...parts, rest]);
  assert.equal(text.slice(places.at(-1)?.end ?? 0).trim(), '', 'something was lost at the end');
  for (const { segment, index } of intl.segment(text)) {
    if (segment.trim() === '' || segment.length > maxCharacters || segment.length > 67) continue;
    assert.ok(
      places.some(({ start, end }) => start <= index && index + segment.length <= end),
      'a grapheme was split',
    );
  }
}

function assertWithin(parts: readonly { text: string; segments: number }[], limits: PackLimits) {
  let total = 0;
  for (const part of parts) {
    assert.ok(part.text.length <= limits.maxCharacters);
    assert.notEqual(part.text.trim(), '');
    assert.equal(part.segments, countSegments(part.text).segments);
    total += part.segments;
  }
  assert.ok(total <= limits.maxSegments);
}

describe('splitParts', () => {
  it('keeps every word and grapheme, in order, inside the limits', () => {
    fc.assert(
      fc.property(anyText, limitsOf, (text, limits) => {
        const { parts, rest } = splitParts(text, limits);
        assertWithin(parts, limits);
        assertWhole(
          text,
          parts.map((part) => part.text),
          rest,
          limits.maxCharacters,
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves nothing over when the budget is wide enough', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        assert.equal(splitParts(text, { maxCharacters: 1600, maxSegments: 1000 }).rest, '');
      }),
    );
  });

  it('fits a whole reply into one part when it can', () => {
    const text = 'One line.\n\nAnother.';
    assert.deepEqual(splitParts(text, { maxCharacters: 1600, maxSegments: 1 }), {
      parts: [{ text, segments: 1 }],
      rest: '',
    });
  });

  it('does not count whitespace at the end against the budget', () => {
    const text = `${'a'.repeat(140)}\n\n${'b'.repeat(18)}`;
    assert.deepEqual(splitParts(`${text} \n `, { maxCharacters: 1600, maxSegments: 1 }), {
      parts: [{ text, segments: 1 }],
      rest: '',
    });
  });

  const cut = (text: string, maxCharacters: number) =>
    splitParts(text, { maxCharacters, maxSegments: 99 }).parts.map((part) => part.text);

  it('prefers a paragraph, then a line, then a sentence, then a word', () => {
    const a = 'a'.repeat(80);
    assert.deepEqual(cut(`${a}\n\nbb. c\nd ee ffffffffff`, 100), [a, 'bb. c\nd ee ffffffffff']);
    assert.deepEqual(cut(`${a}\nbb. c d ee ffffffffff`, 100), [a, 'bb. c d ee ffffffffff']);
    assert.deepEqual(cut(`${a} bb. c d ee ffffffffff`, 100), [`${a} bb.`, 'c d ee ffffffffff']);
    assert.deepEqual(cut(`${a} bb (c.) d ee ffffffffff`, 100), [`${a} bb (c.)`, 'd ee ffffffffff']);
    assert.deepEqual(cut(`${a} bb c d ee ffffffffff`, 100), [`${a} bb c d ee`, 'ffffffffff']);
    assert.deepEqual(cut(`${'漢'.repeat(80)}。${'字'.repeat(40)}`, 100), [`${'漢'.repeat(80)}。`, '字'.repeat(40)]);
  });

  it('cuts inside a word rather than waste more than a quarter', () => {
    assert.deepEqual(
      cut(`aaa ${'b'.repeat(200)}`, 100).map((part) => part.length),
      [100, 100, 4],
    );
  });

  it('cuts a grapheme that alone is too long at code points', () => {
    const parts = cut(`👩${'\u200d👩'.repeat(60)}`, 20);
    assert.equal(parts.join(''), `👩${'\u200d👩'.repeat(60)}`);
    assert.ok(parts.every((part) => part.isWellFormed()));
  });

  it('has no part for a blank text and leaves everything over without a budget', () => {
    assert.deepEqual(splitParts(' \n ', { maxCharacters: 1600, maxSegments: 3 }), { parts: [], rest: '' });
    assert.deepEqual(splitParts(' hello ', { maxCharacters: 1600, maxSegments: 0 }), { parts: [], rest: 'hello' });
  });

  it('cuts a megabyte', () => {
    for (const piece of ['word ', ' ', '😀', '🇨🇭', 'a\u0301', '\u0301', '.\n']) {
      const { parts, rest } = splitParts(piece.repeat(1_000_000 / piece.length), {
        maxCharacters: 1600,
        maxSegments: 1e9,
      });
      assert.equal(rest, '');
      assert.ok(parts.length > 400 || piece === ' ');
    }
  });
});

describe('packReply', () => {
  it('says how to get the rest, inside the limits', () => {
    fc.assert(
      fc.property(anyText, limitsOf, (text, limits) => {
        const { parts, rest } = packReply(text, limits);
        assertWithin(parts, limits);
        const last = parts.at(-1);
        const tailed = last?.text.endsWith(MORE_TAIL) === true;
        if (rest === '') assert.ok(!tailed);
        if (rest !== '' && last !== undefined && limits.maxCharacters >= 100) assert.ok(tailed);
        const own = parts.map((part) => (part === last && tailed ? part.text.slice(0, -MORE_TAIL.length) : part.text));
        assertWhole(text, own, rest, limits.maxCharacters - (tailed ? MORE_TAIL.length : 0));
      }),
      { numRuns: 2000 },
    );
  });

  it('adds no tail when everything fits', () => {
    assert.deepEqual(packReply('Hi', { maxCharacters: 1600, maxSegments: 3 }), {
      parts: [{ text: 'Hi', segments: 1 }],
      rest: '',
    });
  });

  it('sends everything over several MOREs', () => {
    const words = Array.from({ length: 400 }, (_, i) => `word${i}`);
    const got: string[] = [];
    let rest = words.join(' ');
    for (let round = 0; rest !== '' && round < 50; round++) {
      const packed = packReply(rest, { maxCharacters: 1600, maxSegments: 2 });
      got.push(...packed.parts.flatMap((part) => part.text.replace(MORE_TAIL, '').split(' ')));
      rest = packed.rest;
    }
    assert.deepEqual(got, words);
  });
});

describe('describeSegments', () => {
  it('names each character that makes a text dear, once', () => {
    assert.deepEqual(describeSegments('a “quote”, “again” 👍🏽 👍🏽'), {
      encoding: 'UCS-2',
      segments: 1,
      units: 28,
      characters: 22,
      left: 42,
      forcedBy: ['“', '”', '👍🏽'],
    });
    assert.deepEqual(describeSegments(''), {
      encoding: 'GSM-7',
      segments: 1,
      units: 0,
      characters: 0,
      left: 160,
      forcedBy: [],
    });
  });

  it('counts exactly the room that is left', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const { segments, left, encoding, forcedBy } = describeSegments(text);
        assert.deepEqual(
          { segments, encoding },
          { segments: countSegments(text).segments, encoding: countSegments(text).encoding },
        );
        assert.equal(forcedBy.length > 0, encoding === 'UCS-2');
        assert.equal(countSegments(text + '0'.repeat(left)).segments, segments);
        assert.equal(countSegments(text + '0'.repeat(left + 1)).segments, segments + 1);
      }),
      { numRuns: 50 },
    );
  });
});
