const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const COMPACT_FROM = 100_000;

/** 1,204 · 99,999 · 1.2M */
export function shortly(n: number): string {
  return n < COMPACT_FROM ? n.toLocaleString('en') : compact.format(n);
}

export function exactly(n: number): string {
  return n.toLocaleString('en');
}
