// Markdown inside a paragraph: emphasis, code, links, escapes, entities. One pass over the markers; what is not closed
// stays as it was written.

/** A marker that may be closed later; `index` is its place in the output, `from` where its content begins in the text. */
type Opener = {
  readonly kind: '[' | '![' | '*' | '_' | '~';
  length: number;
  readonly index: number;
  readonly from: number;
};

type Scan = {
  readonly text: string;
  at: number;
  readonly out: string[];
  readonly openers: Opener[];
  readonly backticks: Map<number, number[]>;
};

/** Deeper nesting than people write; it bounds the work that every closing marker can cause. */
const MAX_OPENERS = 32;

const MARKERS = /[\\`*_~[\]!<&:]/g;

/** The plain text of a paragraph or a table cell; line ends are kept. */
export function inlineText(text: string): string {
  const scan: Scan = { text, at: 0, out: [], openers: [], backticks: backtickRuns(text) };
  while (scan.at < text.length) {
    MARKERS.lastIndex = scan.at;
    const next = MARKERS.exec(text)?.index ?? text.length;
    if (next > scan.at) scan.out.push(text.slice(scan.at, next));
    scan.at = next;
    if (next < text.length) readMarker(scan);
  }
  return scan.out.join('');
}

function readMarker(scan: Scan): void {
  const char = scan.text[scan.at]!;
  if (char === '*' || char === '_' || char === '~') readEmphasis(scan, char);
  else if (char === '`') readCode(scan);
  else if (char === '[') pushOpener(scan, '[', 1);
  else if (char === '!' && scan.text[scan.at + 1] === '[') pushOpener(scan, '![', 1);
  else if (char === ']') closeBracket(scan);
  else readToken(scan, char);
}

const ESCAPE = /\\([\\`*_{}[\]()#+\-.!|<>~&])/y;
const BREAK = /<br[ \t]*\/?>/iy;
const AUTOLINK = /<(?:mailto:|tel:)?((?:https?:\/\/[^\s<>]+)|(?:[^\s<>@:]+@[^\s<>@]+)|(?:\+?[\d-]+))>/iy;
const ENTITY = /&(amp|lt|gt|quot|apos|#39|nbsp);/y;
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'", nbsp: ' ' };
/** The rest of a bare address, whose underscores are not emphasis unless they stand at its end. */
const ADDRESS = /:\/\/[^\s<>"`*[\]|\\]*[^\s<>"`*[\]|\\_~]/y;

/** Escapes, line breaks, entities and addresses: things that are replaced on the spot. */
function readToken(scan: Scan, char: string): void {
  if (char === '\\') replaceWith(scan, matchAt(ESCAPE, scan), (match) => match[1]!);
  else if (char === '&') replaceWith(scan, matchAt(ENTITY, scan), (match) => ENTITIES[match[1]!]!);
  else if (char === '<')
    replaceWith(scan, matchAt(BREAK, scan) ?? matchAt(AUTOLINK, scan), (match) => match[1] ?? '\n');
  else if (char === ':') replaceWith(scan, matchAt(ADDRESS, scan), (match) => decodedAddress(match[0]));
  else replaceWith(scan, null, String);
}

function matchAt(pattern: RegExp, scan: Scan): RegExpExecArray | null {
  pattern.lastIndex = scan.at;
  return pattern.exec(scan.text);
}

/** Puts the replacement of a match into the output; without a match the character stays what it is. */
function replaceWith(scan: Scan, match: RegExpExecArray | null, replacement: (match: RegExpExecArray) => string): void {
  scan.out.push(match === null ? scan.text[scan.at]! : replacement(match));
  scan.at += match === null ? 1 : match[0].length;
}

function pushOpener(scan: Scan, kind: Opener['kind'], length: number): void {
  if (scan.openers.length === MAX_OPENERS) scan.openers.shift();
  const marker = kind.repeat(length);
  scan.at += marker.length;
  scan.openers.push({ kind, length, index: scan.out.length, from: scan.at });
  scan.out.push(marker);
}

/** The runs of backticks by their length, the first one last, so that looking for a closing run never starts over. */
function backtickRuns(text: string): Map<number, number[]> {
  const runs = new Map<number, number[]>();
  for (let at = text.lastIndexOf('`'); at >= 0; at = at === 0 ? -1 : text.lastIndexOf('`', at - 1)) {
    const end = at + 1;
    while (text[at - 1] === '`') at--;
    const starts = runs.get(end - at) ?? [];
    runs.set(end - at, starts);
    starts.push(at);
  }
  return runs;
}

function readCode(scan: Scan): void {
  const { text, at } = scan;
  let start = at;
  while (text[start] === '`') start++;
  const length = start - at;
  const runs = scan.backticks.get(length) ?? [];
  while (runs.length > 0 && runs.at(-1)! <= at) runs.pop();
  const end = runs.at(-1);
  if (end === undefined) {
    scan.out.push(text.slice(at, start));
    scan.at = start;
    return;
  }
  const code = text.slice(start, end).replace(/\n/g, ' ');
  const padded = code.startsWith(' ') && code.endsWith(' ') && code.trim() !== '';
  scan.out.push(padded ? code.slice(1, -1) : code);
  scan.at = end + length;
}

// — emphasis —

/** `****` and longer runs are blanks to fill in or censored words, never emphasis. */
const MAX_MARKER = 3;

/** Letters and digits of scripts that put spaces between words; in the others emphasis may touch its neighbours. */
const WORD = /[\p{L}\p{N}]/u;
const isWord = (char: string) => char < '\u0e00' && WORD.test(char);
const isBlank = (char: string) => char.trim() === '';

function readEmphasis(scan: Scan, kind: '*' | '_' | '~'): void {
  const { text, at } = scan;
  let end = at;
  while (text[end] === kind) end++;
  const length = end - at;
  const before = text[at - 1] ?? ' ';
  const after = text[end] ?? ' ';
  if (length <= MAX_MARKER && (kind !== '~' || length === 2)) {
    if (mayClose(kind, length, before, after) && closeEmphasis(scan, kind, length)) {
      scan.at = end;
      return;
    }
    if (mayOpen(kind, length, before, after)) {
      pushOpener(scan, kind, length);
      return;
    }
  }
  scan.out.push(text.slice(at, end));
  scan.at = end;
}

/** A single marker is often something else (`:-*`, `lib/*`, `(*)`, `>_<`), so more is asked of what stands around it. */
function mayOpen(kind: string, length: number, before: string, after: string): boolean {
  if (isBlank(after) || isWord(before)) return false;
  return (length > 1 && kind !== '_') || !(':;=-@#$%^&+\\/<>'.includes(before) || ')]},;:!?.'.includes(after));
}

function mayClose(kind: string, length: number, before: string, after: string): boolean {
  if (isBlank(before)) return false;
  return (length > 1 && kind !== '_') || !(isWord(after) || '/([{<>'.includes(before));
}

/** Closes the opener of the same length, or `***` against `*` and `**` in either order; false when nothing is open. */
function closeEmphasis(scan: Scan, kind: string, length: number): boolean {
  const { openers } = scan;
  const find = (below: number, wanted: number) =>
    openers.findLastIndex((opener, i) => i < below && opener.kind === kind && opener.length === wanted);
  const exact = find(openers.length, length);
  if (exact >= 0) return closeOpener(scan, exact);
  if (length === MAX_MARKER) {
    const inner = openers.findLastIndex((opener) => opener.kind === kind);
    const outer = inner < 0 ? -1 : find(inner, MAX_MARKER - openers[inner]!.length);
    return outer >= 0 && closeOpener(scan, inner) && closeOpener(scan, outer);
  }
  const longer = find(openers.length, MAX_MARKER);
  if (longer < 0 || !hasContent(scan, openers[longer]!)) return false;
  const opener = openers[longer]!;
  opener.length -= length;
  scan.out[opener.index] = kind.repeat(opener.length);
  openers.length = longer + 1;
  return true;
}

function closeOpener(scan: Scan, position: number): boolean {
  const opener = scan.openers[position]!;
  const closed = hasContent(scan, opener);
  if (closed) scan.out[opener.index] = '';
  scan.openers.length = position;
  return closed;
}

/** `*_*` and `*-*` are faces: emphasis without a word in it is left alone. */
function hasContent(scan: Scan, opener: Opener): boolean {
  const content = scan.text.slice(opener.from, Math.min(scan.at, opener.from + 8));
  return content.length === 8 || /[\p{L}\p{N}]|\P{ASCII}/u.test(content);
}

// — links —

/** `(address "title")` behind a bracket; the address may hold balanced brackets one level deep. */
const TARGET = /\(\s*(?:<([^<>\n]*)>|([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;

function closeBracket(scan: Scan): void {
  const position = scan.openers.findLastIndex((opener) => opener.kind === '[' || opener.kind === '![');
  TARGET.lastIndex = scan.at + 1;
  const target = position < 0 ? null : TARGET.exec(scan.text);
  if (target === null) {
    if (position >= 0) scan.openers.splice(position, 1);
    replaceWith(scan, null, String);
    return;
  }
  const [, ...pieces] = scan.out.splice(scan.openers[position]!.index);
  scan.openers.length = position;
  scan.out.push(linkText(pieces.join(''), decodedAddress(target[1] ?? target[2] ?? '')));
  scan.at += 1 + target[0].length;
}

/** `text (address)`, or one of them when the other says nothing more. */
function linkText(text: string, address: string): string {
  const bare = address.replace(/^(?:mailto|tel):/i, '');
  if (bare === '' || bare.startsWith('#')) return text;
  if (isBlank(text)) return bare;
  const short = (value: string) =>
    value
      .replace(/^https?:\/\//i, '')
      .replace(/\/$/, '')
      .toLowerCase();
  return text.length <= bare.length + 1 && short(text) === short(bare) ? bare : `${text} (${bare})`;
}

function decodedAddress(address: string): string {
  return address.replaceAll('&amp;', '&');
}
