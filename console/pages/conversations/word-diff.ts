// Which words of a text are other than in another one. Texts are short: the table of the classic longest common subsequence
// is small enough.

export type Piece = { readonly what: 'same' | 'new' | 'gone'; readonly words: string };

/** Beyond this the table would be larger than it is worth: then everything is new. */
const MOST_WORDS = 600;

/** In order: what stayed, what came, what went. Joined without the gone it is `after`, without the new `before`. */
export function wordDiff(before: string, after: string): Piece[] {
  const a = before.match(/\s+|\S+/g) ?? [];
  const b = after.match(/\s+|\S+/g) ?? [];
  if (a.length > MOST_WORDS || b.length > MOST_WORDS)
    return [
      { what: 'gone', words: before },
      { what: 'new', words: after },
    ];
  // common[i][j]: the most words that a from i on and b from j on share, in order.
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i]![j] = a[i] === b[j] ? common[i + 1]![j + 1]! + 1 : Math.max(common[i + 1]![j]!, common[i]![j + 1]!);
    }
  }
  const pieces: { what: Piece['what']; words: string }[] = [];
  const add = (what: Piece['what'], word: string) => {
    const last = pieces.at(-1);
    if (last?.what === what) last.words += word;
    else pieces.push({ what, words: word });
  };
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add('same', a[i]!);
      i++;
      j++;
    } else if (i < a.length && (j === b.length || common[i + 1]![j]! >= common[i]![j + 1]!)) add('gone', a[i++]!);
    else add('new', b[j++]!);
  }
  return pieces;
}
