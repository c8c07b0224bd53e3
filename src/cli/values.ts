// Values of options that several commands take. What is wrong with one is said by commander, which names the option.
import { InvalidArgumentError } from 'commander';

/** Reads a whole number of a range. */
export function wholeNumber(min: number, max: number, instead?: string): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^\d{1,9}$/.test(value) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`A whole number from ${min} to ${max}${instead ? `, or "${instead}"` : ''}.`);
  };
}

/** The same, or the word that takes the setting away. Not null at once: commander takes that for an empty text. */
export function offOr(min: number, max: number, word = 'off'): (value: string) => number | string {
  return (value) => (value === word ? word : wholeNumber(min, max, word)(value));
}

/** What such an option says: null takes the setting away, undefined leaves it. */
export function limitOf(value: number | string | undefined): number | null | undefined {
  return typeof value === 'string' ? null : value;
}

/** The name of a campaign or of a brand. */
export function campaignName(value: string): string {
  if (value.trim() === value && value.length >= 1 && value.length <= 50 && value.isWellFormed()) return value;
  throw new InvalidArgumentError('A name of 1 to 50 characters, without spaces around it.');
}
