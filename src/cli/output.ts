// What commands print: JSON for programs, tables and lines for people. What others have written goes through here, so that nothing of it
// is obeyed by a terminal.
import { stripVTControlCharacters } from 'node:util';

/**
 * A text made harmless: escape sequences could repaint the terminal or write its clipboard, and direction marks could
 * show it in another order than it was sent.
 */
export function printable(text: string): string {
  return stripVTControlCharacters(text.toWellFormed())
    .replace(/\r\n?/g, '\n')
    .replace(/\t/g, ' ')
    .replace(/[^\P{Cc}\n]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '');
}

/** JSON in one line; what JSON leaves as it is and a terminal obeys (C1 controls, direction marks) is written as an escape. */
export function jsonLine(value: unknown): string {
  const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value).replace(/[\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escaped);
}

/** For programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${jsonLine(value)}\n`);
}

/** For people: as it is, but for what a terminal would obey. */
export function printText(text: string): void {
  process.stdout.write(printable(text));
}

export type Columns<T> = {
  readonly names: readonly string[];
  readonly row: (item: T) => readonly string[];
  /** What to say where there are none. */
  readonly none: string;
};

/** A list: for programs an object per line, for people a table. */
export function printList<T>(items: readonly T[], json: boolean, { names, row, none }: Columns<T>): void {
  if (json) for (const item of items) printJson(item);
  else if (items.length === 0) process.stderr.write(`${none}\n`);
  else process.stdout.write(table(names, items.map(row)));
}

/** One line for the names and one for each row. */
export function table(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [names, ...rows].map((row) => row.map((cell) => printable(cell).replaceAll('\n', ' ')));
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, n) => cell.padEnd(widths[n]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
