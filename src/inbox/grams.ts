// Which characters stand beside each other in a text, as numbers: a text can hold some words only if it has all of their grams.
// Of characters of any script, spaces and emoji included; PostgreSQL's own trigrams know letters of the database's locale alone.

/** More would not narrow a search down, and each costs a look into the index. */
const ENOUGH = 12;

/** Every pair and every triple of characters, each once. A number may stand for several triples: that costs a look, no hit. */
export function gramsOf(text: string): number[] {
  const grams = new Set<number>();
  let first = 0;
  let second = 0;
  for (let i = 0; i < text.length; i++) {
    const third = text.charCodeAt(i);
    if (i >= 1) grams.add(pair(second, third));
    if (i >= 2) grams.add(triple(first, second, third));
    first = second;
    second = third;
  }
  return [...grams];
}

/** The grams that a text with these words must have; a single character has none. */
export function gramsOfWords(words: string): number[] {
  if (words.length < 2) return [];
  if (words.length === 2) return [pair(words.charCodeAt(0), words.charCodeAt(1))];
  const count = words.length - 2;
  const step = Math.max(1, count / ENOUGH);
  const grams = new Set<number>();
  for (let at = 0; at < count; at += step) {
    const i = Math.floor(at);
    grams.add(triple(words.charCodeAt(i), words.charCodeAt(i + 1), words.charCodeAt(i + 2)));
  }
  return [...grams];
}

/** The number of an id as a whole: ids have nearly the same triples all of them. Above all triples. */
export function gramOfId(id: string): number {
  let mixed = 0;
  for (let i = 0; i < id.length; i++) mixed = Math.imul(mixed ^ id.charCodeAt(i), 0x01000193) + 0x7ed55d16;
  return 0x1000000 + ((mixed ^ (mixed >>> 15)) & 0x3fffffff);
}

/** Below zero, so that no triple is taken for a pair. */
const pair = (a: number, b: number): number => -1 - (((a << 16) | b) >>> 1);

/** Spread over 2^24 numbers: a block of messages has some thousands. */
function triple(a: number, b: number, c: number): number {
  const mixed = Math.imul(Math.imul(a, 0x9e3779b1) ^ b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35);
  return (Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 8) & 0xffffff;
}
