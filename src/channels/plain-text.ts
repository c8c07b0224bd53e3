// What a model writes, as a person reads it on a phone: Markdown becomes plain lines, typographic characters become
// GSM-7 where that makes the whole text cheaper. Everything here is linear in the length of the text, because what
// comes in was written by somebody else.
import { inlineText } from './inline-markdown.ts';
import { isGsm7 } from './segments.ts';

/** Both steps: what an agent answered, ready to be packed into parts. */
export function toTextMessage(markdown: string): string {
  return toGsm7Friendly(toPlainText(markdown)).trim();
}

/**
 * Strips Markdown and decodes the basic entities. Text that only looks a little like Markdown (`2 * 3`, `snake_case`,
 * `#1`, `5 > 3`) stays as it is: a marker counts only where nobody would write it by accident.
 */
export function toPlainText(markdown: string): string {
  const lines = readBlocks(withoutControls(markdown).split('\n'));
  return lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+/, '')
    .trimEnd();
}

// — blocks —

type Fence = { readonly marker: string; readonly quoted: boolean };

/** Lines of plain text. Inline markers are read over a whole paragraph, because emphasis may span lines. */
function readBlocks(lines: readonly string[]): string[] {
  const out: string[] = [];
  let paragraph: string[] = [];
  let fence: Fence | null = null;
  let inTable = false;
  const flush = () => {
    if (paragraph.length === 0) return;
    for (const line of inlineText(paragraph.join('\n')).split('\n')) out.push(line.trimEnd());
    paragraph = [];
  };
  for (const [i, raw] of lines.entries()) {
    if (fence !== null) {
      const code = fence.quoted ? withoutQuote(raw) : raw;
      if (closesFence(code, fence.marker)) fence = null;
      else out.push(code.trimEnd());
      continue;
    }
    const line = withoutQuote(raw).trimEnd();
    const marker = fenceMarker(line);
    inTable = line.includes('|') && (inTable || isTableRule(withoutQuote(lines[i + 1] ?? '')));
    if (marker !== null) {
      flush();
      fence = { marker, quoted: line.length < raw.trimEnd().length };
    } else if (inTable) {
      flush();
      if (!isTableRule(line)) out.push(tableRow(line));
    } else if (line === '' || isRule(line)) {
      flush();
      out.push('');
    } else {
      const heading = headingText(line);
      if (heading !== null || startsItem(line)) flush();
      paragraph.push(heading ?? bulletAsDash(line));
      if (heading !== null) flush();
    }
  }
  flush();
  return out;
}

/** Without blockquote markers. `>3` and `>:(` are not quotes: a space, another marker or the end must follow. */
function withoutQuote(line: string): string {
  const marker = /^ {0,3}>(?:[ >]*>)?(?= |$) ?/.exec(line);
  return marker === null ? line : line.slice(marker[0].length);
}

function fenceMarker(line: string): string | null {
  const match = /^[ \t]*(`{3,}|~{3,})/.exec(line);
  if (match === null) return null;
  const marker = match[1]!;
  return marker[0] === '`' && line.includes('`', match[0].length) ? null : marker;
}

function closesFence(line: string, marker: string): boolean {
  const text = line.trim();
  return text.length >= marker.length && text === marker[0]!.repeat(text.length);
}

/** `***`, `- - -`, `___`, and the `===` under a title. */
function isRule(line: string): boolean {
  return /^(?:-{3,}|\*{3,}|_{3,}|={3,})$/.test(line.replace(/[ \t]+/g, ''));
}

function isTableRule(line: string): boolean {
  return line.includes('|') && /^\|?:?-+:?(?:\|:?-+:?)*\|?$/.test(line.replace(/[ \t]+/g, ''));
}

/** Cells joined by ` - `: a bar costs two septets and means nothing to most people. */
function tableRow(line: string): string {
  const cells = line.split(/(?<!\\)\|/).map((cell) => inlineText(cell.trim()).replace(/\n/g, ' '));
  return cells.filter((cell) => cell !== '').join(' - ');
}

/** The text of a `#` heading; null for other lines (`#1`, `#hashtag`). */
function headingText(line: string): string | null {
  const marker = /^ {0,3}#{1,6}(?=[ \t]|$)/.exec(line);
  if (marker === null) return null;
  const text = line.slice(marker[0].length).trim();
  let end = text.length;
  while (text[end - 1] === '#') end--;
  return end === 0 || text[end - 1] === ' ' ? text.slice(0, end).trimEnd() : text;
}

function startsItem(line: string): boolean {
  return /^[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]/.test(line);
}

/** `* item` as `- item`. A `+` stays: in front of a number it is a sign. */
function bulletAsDash(line: string): string {
  return line.replace(/^([ \t]*)[-*][ \t]+(?=\S)/, '$1- ');
}

// — characters —

/** Colours and cursor movements: ESC [ … letter. */
const TERMINAL_CODE = new RegExp(`${String.fromCharCode(0x1b)}\\[[0-?]{0,32}[ -/]{0,8}[@-~]`, 'g');

/** What a database and a carrier can hold: no control characters but line ends, no terminal codes, no half pairs. */
function withoutControls(text: string): string {
  return text
    .replace(TERMINAL_CODE, '')
    .replace(/\r\n?|[\v\f\x85\u2028\u2029]/g, '\n')
    .replace(/\t/g, ' ')
    .replace(/(?!\n)\p{Cc}/gu, '')
    .replace(/\p{Surrogate}/gu, '');
}

/** Characters whose meaning GSM-7 can carry. Letters are not here: `ç` as `c` would be another word. */
const FRIENDLY: Record<string, string> = {
  ...each('“”„‟«»″〝〞❝❞', '"'),
  ...each('‘’‚‛′`´ʼ❛❜', "'"),
  ...each('‹', '<'),
  ...each('›', '>'),
  ...each('‐‑‒–—―−⁃•‣◦▪●', '-'),
  ...each('⁄∕', '/'),
  ...each('\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000', ' '),
  // Soft hyphen, zero-width and direction marks, variation selectors: nothing is seen of them.
  ...each(
    '\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\ufe0e\ufe0f',
    '',
  ),
  ...{ '…': '...', '→': '->', '←': '<-', '⇒': '=>', '×': 'x', '÷': '/', '≈': '~', '≤': '<=', '≥': '>=', '≠': '!=' },
  ...{ '±': '+/-', '™': '(TM)', '®': '(R)', '©': '(C)', '¼': '1/4', '½': '1/2', '¾': '3/4', ﬁ: 'fi', ﬂ: 'fl' },
};
const FRIENDLY_CHARACTERS = new RegExp(`[${Object.keys(FRIENDLY).join('')}]`, 'g');

function each(characters: string, replacement: string): Record<string, string> {
  return Object.fromEntries(Array.from(characters, (char) => [char, replacement]));
}

/**
 * Maps typographic characters to GSM-7, but only when the whole text then is GSM-7 (160 characters a segment instead of
 * 70). A text that needs UCS-2 anyway keeps them: mapping would only make it poorer. Never returns a control character
 * other than a line feed, nor a lone surrogate.
 */
export function toGsm7Friendly(text: string): string {
  const clean = withoutControls(text);
  if (isGsm7(clean)) return clean;
  const mapped = clean
    .normalize('NFC')
    .replace(/(?<=\d)(?=[¼½¾])/g, ' ')
    // A dash between words is set with spaces, or they would read as one compound.
    .replace(/(?<=[\p{L}\p{N}])—(?=[\p{L}\p{N}])/gu, ' - ')
    .replace(FRIENDLY_CHARACTERS, (char) => FRIENDLY[char]!);
  return isGsm7(mapped) ? mapped : clean;
}
