// The numbers of the people on this page. Any number does, because no text leaves the machine; it only has to be one.

/** The person that `darkspere text` plays, so that both show the same conversation. */
export const FIRST_PERSON = '+15557654321';
export const SECOND_PERSON = '+15557654322';

const E164 = /^\+[1-9]\d{6,14}$/;

export function isNumber(text: string): boolean {
  return E164.test(text);
}

export type ReadNumber = { readonly number: string } | { readonly problem: string };

/** A number as people write it. `taken` are those it must not be, each with the reason. */
export function readNumber(text: string, taken: ReadonlyMap<string, string>): ReadNumber {
  const number = text.trim().replace(/[\s().-]/g, '');
  if (!number.startsWith('+')) return { problem: 'Begin with + and the country, like +1 555 765 4321.' };
  if (!isNumber(number)) return { problem: 'A number has + and 7 to 15 digits, like +1 555 765 4321.' };
  const why = taken.get(number);
  return why === undefined ? { number } : { problem: why };
}

/** Somebody who has most likely never texted before. */
export function somebodyNew(): string {
  const digits = crypto.getRandomValues(new Uint32Array(1))[0]! % 8_000_000;
  return `+1555${2_000_000 + digits}`;
}
