// A text outside the GSM-7 alphabet costs more than twice as many segments, so this agent never leaves it.

// 3GPP TS 23.038 §6.2.1: the default alphabet, then the characters that take two septets.
const BASIC = new Set(
  '@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
);
const EXTENDED = new Set('^{}\\[~]|€');
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  '‘': "'",
  '’': "'",
  '“': '"',
  '”': '"',
  '«': '"',
  '»': '"',
  '–': '-',
  '—': '-',
  '−': '-',
  '…': '...',
  '×': 'x',
  '÷': '/',
  '°': ' deg',
  '\t': ' ',
  '\r': '',
};

/** Length in septets of a text that is within the alphabet. */
export function septets(text: string): number {
  return [...text].reduce((sum, character) => sum + (EXTENDED.has(character) ? 2 : 1), 0);
}

/** Septets that fit into so many segments; a text of one segment has no concatenation header. */
export function roomIn(segments: number): number {
  return segments <= 1 ? 160 : segments * 153;
}

/** The text within the alphabet: look-alikes where there are any, a question mark for the rest. */
export function toGsm(text: string): string {
  return [...text]
    .map(toGsmCharacter)
    .join('')
    .replace(/\?{2,}/g, (marks) => (text.includes(marks) ? marks : '?'));
}

function toGsmCharacter(character: string): string {
  if (BASIC.has(character) || EXTENDED.has(character)) return character;
  const alike = LOOK_ALIKES[character];
  if (alike !== undefined) return alike;
  if (/\s/u.test(character)) return ' ';
  // Joiners, variation selectors and combining marks belong to the character before.
  if (/[\p{M}\p{Cf}]/u.test(character)) return '';
  const base = character.normalize('NFKD').replace(/\p{M}/gu, '');
  return base !== '' && [...base].every((part) => BASIC.has(part)) ? base : '?';
}

/** The text cut to `room` septets, with dots where something was cut off. */
export function clip(text: string, room: number): string {
  if (septets(text) <= room) return text;
  let kept = '';
  let used = septets('...');
  for (const character of text) {
    used += septets(character);
    if (used > room) break;
    kept += character;
  }
  return `${kept.trimEnd()}...`;
}
