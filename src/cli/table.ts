// Rows of text in columns, for people.
import { printable } from './conversation.ts';

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
