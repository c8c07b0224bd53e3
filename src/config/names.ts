// Mistyped names: a variable nobody reads is the quietest kind of wrong configuration.
import { NAMES } from './variables.ts';

/** Names read by programs around the product, so that seeing them is no mistake. */
const READ_ELSEWHERE = new Set(['DARKSPERE_URL']);

/** One warning for each name that looks meant for us and is not in the table. */
export function mistypedNames(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    if ((NAMES as string[]).includes(name) || READ_ELSEWHERE.has(name)) return [];
    const ours = name.startsWith('DARKSPERE_');
    // Other programs have TWILIO_* variables too (its CLI does), so there only a near miss is worth a word.
    if (!ours && !name.startsWith('TWILIO_')) return [];
    const nearest = nearestName(name, ours ? Math.max(3, Math.floor(name.length / 4)) : 2);
    if (nearest === null) return ours ? [`${name} is not a variable of Darkspere and is ignored.`] : [];
    return [`${name} is not a variable of Darkspere and is ignored: did you mean ${nearest}?`];
  });
}

function nearestName(name: string, withinEdits: number): string | null {
  const [nearest] = NAMES.map((candidate) => ({ candidate, edits: editDistance(name, candidate) }))
    .filter(({ edits }) => edits <= withinEdits)
    .sort((a, b) => a.edits - b.edits);
  return nearest?.candidate ?? null;
}

/** Levenshtein distance: insertions, deletions and substitutions of one character. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, substituted));
    }
    row = next;
  }
  return row[b.length]!;
}
