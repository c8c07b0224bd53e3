// Which phones are on the page: in the URL, so that a link shows the same, and remembered for the next visit.
import { useCallback, useEffect } from 'react';
import { useSearchParams } from 'wouter';
import type { Instance } from '../../../src/http/contract.ts';
import { FIRST_PERSON, isNumber, SECOND_PERSON } from './number.ts';

export type Slot = 'first' | 'second';
export const SLOTS: readonly Slot[] = ['first', 'second'];
/** A person's phone, and the number of ours that it texts. */
export type Line = { readonly phone: string; readonly ours: string };
export type Lines = { readonly first: Line; readonly second: Line | null };

const REMEMBERED = 'phones';
const NAMES = {
  first: { phone: 'phone', ours: 'to' },
  second: { phone: 'second', ours: 'second_to' },
} as const;

type OurNumber = Instance['numbers'][number];

export function usePhones(numbers: readonly OurNumber[]) {
  const [params, setParams] = useSearchParams();
  const isGiven = numberIn(params, NAMES.first.phone) !== null;
  const shown = isGiven ? params : remembered();
  const first = numberIn(shown, NAMES.first.phone) ?? FIRST_PERSON;
  const second = numberIn(shown, NAMES.second.phone);
  const lines: Lines = {
    first: { phone: first, ours: oursIn(shown, NAMES.first.ours, numbers) },
    second:
      second === null || second === first ? null : { phone: second, ours: oursIn(shown, NAMES.second.ours, numbers) },
  };
  const written = paramsOf(lines, numbers).toString();
  useEffect(() => {
    remember(written);
    // What was remembered is not a step that somebody would want to go back over.
    if (!isGiven) setParams(new URLSearchParams(written), { replace: true });
  }, [written, isGiven, setParams]);

  const put = useCallback((next: Lines) => setParams(paramsOf(next, numbers)), [setParams, numbers]);
  return {
    lines,
    change: (slot: Slot, line: Partial<Line>) => {
      const known = lines[slot];
      if (known !== null) put({ ...lines, [slot]: { ...known, ...line } });
    },
    openSecond: () => {
      const phone = lines.first.phone === SECOND_PERSON ? FIRST_PERSON : SECOND_PERSON;
      put({ ...lines, second: { phone, ours: lines.first.ours } });
    },
    /** The phone that stays is the first one then. */
    close: (slot: Slot) => put({ first: slot === 'first' ? (lines.second ?? lines.first) : lines.first, second: null }),
  };
}

/** A + that nobody encoded arrives as a space. */
function numberIn(params: URLSearchParams, name: string): string | null {
  const number = params.get(name)?.trim().replace(/^\+?/, '+') ?? '';
  return isNumber(number) ? number : null;
}

function oursIn(params: URLSearchParams, name: string, numbers: readonly OurNumber[]): string {
  const asked = numberIn(params, name);
  const known = numbers.find(({ address }) => address === asked) ?? numbers.find((ours) => ours.is_active);
  return (known ?? numbers[0])?.address ?? '';
}

/** With one number of ours there is nothing to choose, and nothing to say in the URL. */
function paramsOf({ first, second }: Lines, numbers: readonly OurNumber[]): URLSearchParams {
  const params = new URLSearchParams();
  for (const [slot, line] of [
    ['first', first],
    ['second', second],
  ] as const) {
    if (line === null) continue;
    params.set(NAMES[slot].phone, line.phone);
    if (numbers.length > 1) params.set(NAMES[slot].ours, line.ours);
  }
  return params;
}

function remembered(): URLSearchParams {
  try {
    return new URLSearchParams(localStorage.getItem(REMEMBERED) ?? '');
  } catch {
    return new URLSearchParams();
  }
}

function remember(params: string): void {
  try {
    localStorage.setItem(REMEMBERED, params);
  } catch {
    // Then it holds until the page is closed.
  }
}
