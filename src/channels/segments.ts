// How many SMS segments a text costs, and how a long reply is cut into texts that a person can read.
//
// A carrier bills and paces by segment: 140 octets, of which 6 go to a header as soon as there is more than one.
// That leaves 160 or 153 septets of GSM-7, and 70 or 67 UTF-16 units of UCS-2; one character outside GSM-7 puts the
// whole text into UCS-2 (3GPP TS 23.038 and 23.040).

export type Encoding = 'GSM-7' | 'UCS-2';
/** `left`: units that still fit the last segment as it is; one more than those begins another segment. */
export type SegmentDetail = SegmentCount & {
  /** As people count them. */
  readonly characters: number;
  readonly left: number;
  readonly forcedBy: readonly string[];
};
export type SegmentCount = { readonly encoding: Encoding; readonly segments: number; readonly units: number };
export type TextPart = { readonly text: string; readonly segments: number };
export type PackedText = { readonly parts: TextPart[]; readonly rest: string };

/** `maxCharacters`: UTF-16 units of one part, at least 2 (a surrogate pair). `maxSegments`: of all parts together. */
export type PackLimits = { readonly maxCharacters: number; readonly maxSegments: number };

/** How a reply that was cut ends; in GSM-7, so that it never makes a text dearer than it is. */
export const MORE_TAIL = '\n\nReply MORE for the rest.';

const GSM_BASIC =
  '\n\r !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz' +
  '¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ';
const GSM_EXTENSION = '\f[\\]^{|}~€';

/** Septets by UTF-16 unit, 0 for what GSM-7 lacks; the euro sign is the highest unit it has. */
const SEPTETS = new Uint8Array(0x20ac + 1);
for (const char of GSM_BASIC) SEPTETS[char.charCodeAt(0)] = 1;
for (const char of GSM_EXTENSION) SEPTETS[char.charCodeAt(0)] = 2;

const GSM_SINGLE = 160;
const GSM_CONCATENATED = 153;
const UCS2_SINGLE = 70;
const UCS2_CONCATENATED = 67;

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Whether every character exists in the GSM-7 alphabet, extension characters included. */
export function isGsm7(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (!SEPTETS[text.charCodeAt(i)]) return false;
  }
  return true;
}

/**
 * What a text costs on SMS. `units` are septets (GSM-7) or UTF-16 units (UCS-2), without headers. An empty text is one
 * segment. Agrees with Twilio's calculator (sms-segments-calculator, smart encoding off), with two deliberate limits:
 * a grapheme longer than a segment is spread over several (theirs puts it whole into one that cannot hold it), and
 * emoji sequences newer than the calculator's Unicode 10 are kept together. What Twilio bills is in its callbacks.
 */
export function countSegments(text: string): SegmentCount {
  return countGsm7(text) ?? countUcs2(text);
}

/**
 * The same for somebody who is typing: how much room there is, and which characters make the whole text UCS-2, each once in
 * the order of the text.
 */
export function describeSegments(text: string): SegmentDetail {
  const count = countSegments(text);
  const parts = [...graphemes.segment(text)].map(({ segment }) => segment);
  const characters = parts.length;
  if (count.encoding === 'GSM-7') {
    const left = count.segments === 1 ? GSM_SINGLE - count.units : gsm7Room(text);
    return { ...count, characters, left, forcedBy: [] };
  }
  const left = count.segments === 1 ? UCS2_SINGLE - count.units : ucs2Room(text);
  return { ...count, characters, left, forcedBy: [...new Set(parts.filter((part) => !isGsm7(part)))] };
}

/** What is left of the last of several segments. An extension character that does not fit leaves a septet unused. */
function gsm7Room(text: string): number {
  let used = 0;
  for (let i = 0; i < text.length; i++) {
    const size = SEPTETS[text.charCodeAt(i)]!;
    used = used + size > GSM_CONCATENATED ? size : used + size;
  }
  return GSM_CONCATENATED - used;
}

function ucs2Room(text: string): number {
  let start = 0;
  for (let end = ucs2SegmentEnd(text, 0); end < text.length; end = ucs2SegmentEnd(text, start)) start = end;
  return UCS2_CONCATENATED - (text.length - start);
}

/** One pass; null as soon as a character is not GSM-7. An extension character never straddles two segments. */
function countGsm7(text: string): SegmentCount | null {
  let units = 0;
  let segments = 1;
  let used = 0;
  // The longest run that still fits the first segment once it needs a header: what lies beyond moves to the second.
  let head = 0;
  for (let i = 0; i < text.length; i++) {
    const size = SEPTETS[text.charCodeAt(i)];
    if (!size) return null;
    units += size;
    used += size;
    if (segments === 1) {
      if (used <= GSM_CONCATENATED) head = used;
      if (used <= GSM_SINGLE) continue;
      segments = 2;
      used -= head;
    } else if (used > GSM_CONCATENATED) {
      segments += 1;
      used = size;
    }
  }
  return { encoding: 'GSM-7', segments, units };
}

function countUcs2(text: string): SegmentCount {
  const units = text.length;
  let segments = 1;
  if (units > UCS2_SINGLE) {
    let start = ucs2SegmentEnd(text, 0);
    while (start < units) {
      segments += 1;
      start = ucs2SegmentEnd(text, start);
    }
  }
  return { encoding: 'UCS-2', segments, units };
}

/** Where the segment that begins at `start` (a grapheme boundary) ends. */
function ucs2SegmentEnd(text: string, start: number): number {
  const limit = start + UCS2_CONCATENATED;
  if (limit >= text.length) return text.length;
  // Twilio's calculator takes CR LF apart.
  if (text[limit - 1] === '\r' && text[limit] === '\n') return limit;
  const begin = lastBoundary(text, start, limit);
  // Its Unicode 10 has no conjuncts: a Devanagari, Bengali … letter after a virama begins a cluster of its own there.
  for (let at = limit; at > begin; at--) {
    if (isLetterAfterVirama(text, at)) return at;
  }
  return begin > start ? begin : codePointStart(text, limit);
}

const LETTER = /\p{Lo}/u;

function isLetterAfterVirama(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  // Every script with conjuncts that Intl.Segmenter joins lies in these blocks (Devanagari … Malayalam, Myanmar, Khmer).
  return code >= 0x0900 && code < 0x1800 && !(code >= 0x1100 && code < 0x1200) && LETTER.test(text[at]!);
}

/** The last grapheme boundary at or before `limit`, counting from the boundary `start`; `start` when there is none. */
function lastBoundary(text: string, start: number, limit: number): number {
  if (limit >= text.length) return text.length;
  // Two more units: whether a boundary stands at `limit` depends on the whole code point behind it.
  const window = graphemes.segment(text.slice(start, limit + 2));
  return start + (window.containing(limit - start)?.index ?? 0);
}

/** `at`, or one less when it stands in the middle of a surrogate pair. */
function codePointStart(text: string, at: number): number {
  const inPair = (text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
  return inPair ? at - 1 : at;
}

/**
 * Packs a text into parts, each of at most `maxCharacters` and all together of at most `maxSegments`; `rest` is what did
 * not fit. Cuts at paragraph, line, sentence or word ends where that wastes no more than a quarter of a part, never
 * inside a grapheme unless one alone is too long. Whitespace at the ends and at cuts is dropped, nothing else is.
 */
export function splitParts(text: string, limits: PackLimits): PackedText {
  const body = withoutTrailingSpace(text);
  const { cuts, next } = cutText(body, limits);
  return { parts: cuts.map((cut) => partOf(body, cut, '')), rest: body.slice(next) };
}

/**
 * Like `splitParts`, but when something is left over the last part ends with `MORE_TAIL`, inside the limits. Where the
 * limits leave no room for the tail it is left out; a non-empty `rest` alone says that there is more.
 */
export function packReply(text: string, limits: PackLimits): PackedText {
  const body = withoutTrailingSpace(text);
  const { cuts, next } = cutText(body, limits);
  const parts = cuts.map((cut) => partOf(body, cut, ''));
  const last = cuts.at(-1);
  if (next >= body.length || last === undefined) return { parts, rest: body.slice(next) };
  const before = parts.slice(0, -1);
  const segmentsLeft = limits.maxSegments - before.reduce((sum, part) => sum + part.segments, 0);
  const shorter = cutPart(body, last.start, limits.maxCharacters, segmentsLeft, MORE_TAIL);
  if (shorter === null) return { parts, rest: body.slice(next) };
  return { parts: [...before, partOf(body, shorter, MORE_TAIL)], rest: body.slice(shorter.next) };
}

/** A part is `text.slice(start, end)`; `next` is where the following one begins, behind the whitespace. */
type Cut = { readonly start: number; readonly end: number; readonly next: number };

function partOf(text: string, cut: Cut, tail: string): TextPart {
  const part = text.slice(cut.start, cut.end) + tail;
  return { text: part, segments: countSegments(part).segments };
}

function cutText(text: string, limits: PackLimits): { cuts: Cut[]; next: number } {
  const cuts: Cut[] = [];
  let segmentsLeft = limits.maxSegments;
  let next = skipSpace(text, 0);
  while (next < text.length && segmentsLeft > 0) {
    const cut = cutPart(text, next, limits.maxCharacters, segmentsLeft, '');
    if (cut === null) break;
    segmentsLeft -= countSegments(text.slice(cut.start, cut.end)).segments;
    cuts.push(cut);
    next = cut.next;
  }
  return { cuts, next };
}

/** The longest good part from `start` that leaves room for `tail`; null when nothing fits beside it. */
function cutPart(text: string, start: number, maxCharacters: number, maxSegments: number, tail: string): Cut | null {
  const roof = Math.min(text.length, start + Math.max(2, maxCharacters) - tail.length);
  const limit = fittingEnd(text, start, roof, maxSegments, tail);
  if (limit <= start) return null;
  const end = trimmedEnd(text, start, limit >= text.length ? text.length : chooseCut(text, start, limit));
  return end > start ? { start, end, next: skipSpace(text, end) } : null;
}

/** The furthest end up to `roof` whose part, with the tail, costs at most `maxSegments`: a longer prefix never costs less. */
function fittingEnd(text: string, start: number, roof: number, maxSegments: number, tail: string): number {
  const fits = (end: number) => countSegments(text.slice(start, end) + tail).segments <= maxSegments;
  if (roof <= start || fits(roof)) return roof;
  let low = start;
  let high = roof;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** Closing quotes and brackets may stand between the full stop and the space. */
const SENTENCE_END = /[.!?…][)\]}"'”’»]{0,3}$/;
const WIDE_SENTENCE_END = '。！？';

/** Where to cut at or before `limit`: the best kind of end in the last quarter, the latest of its kind. */
function chooseCut(text: string, start: number, limit: number): number {
  const floor = limit - Math.floor((limit - start) / 4);
  let line = 0;
  let sentence = 0;
  let word = 0;
  for (let at = limit; at >= floor && at > start; at--) {
    const kind = endKind(text, at);
    if (kind === 'paragraph') return at;
    if (kind === 'line') line ||= at;
    if (kind === 'sentence') sentence ||= at;
    if (kind === 'word') word ||= at;
  }
  const boundary = lastBoundary(text, start, limit);
  return line || sentence || word || (boundary > start ? boundary : Math.max(codePointStart(text, limit), start));
}

function endKind(text: string, at: number): 'paragraph' | 'line' | 'sentence' | 'word' | null {
  if (WIDE_SENTENCE_END.includes(text[at - 1]!) && breaksBeside(text, at)) return 'sentence';
  // Only the first space behind a word is an end; those that follow would make the same part.
  if (!isSpace(text, at) || isSpace(text, at - 1) || !breaksBeside(text, at)) return null;
  const gap = text.slice(at, at + 4);
  if (/^[^\S\n]*\n[^\S\n]*\n/.test(gap)) return 'paragraph';
  if (/^[^\S\n]*\n/.test(gap)) return 'line';
  return SENTENCE_END.test(text.slice(Math.max(0, at - 4), at)) ? 'sentence' : 'word';
}

function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || (code >= 0xa0 && /\s/.test(text[at]!));
}

/** Whether a grapheme ends at `at`; true knowledge only beside whitespace or punctuation, where near context decides. */
function breaksBeside(text: string, at: number): boolean {
  // Below U+0300 nothing combines with what stands before it, below U+0600 nothing with what follows.
  if (text.charCodeAt(at) < 0x300 && text.charCodeAt(at - 1) < 0x600) return text[at] !== '\n' || text[at - 1] !== '\r';
  const from = Math.max(0, at - 2);
  return graphemes.segment(text.slice(from, at + 2)).containing(at - from)?.index === at - from;
}

/** Where the text goes on behind whitespace; a space that carries a combining mark is not whitespace. */
function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text, at)) at++;
  return at > from && at < text.length && !breaksBeside(text, at) ? at - 1 : at;
}

function withoutTrailingSpace(text: string): string {
  return text.slice(0, trimmedEnd(text, 0, text.length));
}

/** Where a part ends without its trailing whitespace; a space that belongs to the grapheme before it stays. */
function trimmedEnd(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && isSpace(text, at - 1)) at--;
  return at < end && at > start && !breaksBeside(text, at) ? at + 1 : at;
}
