const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const COMPACT_FROM = 100_000;

/** 1,204 · 99,999 · 1.2M */
export function shortly(n: number): string {
  return n < COMPACT_FROM ? n.toLocaleString('en') : compact.format(n);
}

export function exactly(n: number): string {
  return n.toLocaleString('en');
}

/** Rounded down: what is not all is never 100 %, and what is something never 0 %. */
export function percent(share: number): string {
  if (share > 0 && share < 0.001) return '<0.1 %';
  return `${(Math.floor(share * 1000) / 10).toLocaleString('en', { maximumFractionDigits: 1 })} %`;
}

/** 12 a minute · 90 an hour · less than 1 an hour */
export function rate(count: number, minutes: number): string {
  if (count === 0) return 'none';
  const perMinute = count / minutes;
  if (perMinute >= 10) return `${shortly(Math.round(perMinute))} a minute`;
  return perMinute * 60 < 1 ? 'less than 1 an hour' : `${shortly(Math.round(perMinute * 60))} an hour`;
}
