// The part of a text that has the words that were looked for.

/** `at`: where it stands in the text. */
export type Piece = { readonly at: number; readonly text: string; readonly isFound: boolean };

const BEFORE = 24;
const LENGTH = 140;

/** From a little before the first place on; where the words do not stand in it, its beginning. */
export function snippetOf(body: string, words: string): Piece[] {
  const lower = body.toLowerCase();
  const wanted = words.toLowerCase();
  // Some letters become two: then places in one are none in the other.
  const at = lower.length === body.length && wanted !== '' ? lower.indexOf(wanted) : -1;
  const start = at <= BEFORE ? 0 : wordStart(body, at - BEFORE, at);
  const end = start + LENGTH + wanted.length;
  const pieces: Piece[] = start > 0 ? [{ at: -1, text: '…', isFound: false }] : [];
  let from = start;
  for (let found = at; found >= 0 && found < end; found = lower.indexOf(wanted, from)) {
    if (found > from) pieces.push({ at: from, text: body.slice(from, found), isFound: false });
    from = found + wanted.length;
    pieces.push({ at: found, text: body.slice(found, from), isFound: true });
  }
  if (from < end && from < body.length) pieces.push({ at: from, text: body.slice(from, end), isFound: false });
  return pieces;
}

/** Behind the next space, so that no word and no character is cut in two. */
function wordStart(body: string, near: number, most: number): number {
  const space = body.slice(near, most).search(/\s/);
  return space < 0 ? most : near + space + 1;
}
