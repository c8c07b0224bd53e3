// The rules behind `faults`: counts, chances, times and matches.
import {
  type DetailsOf,
  FAULTS,
  type FaultName,
  type FaultPlan,
  type Faults,
  type Subject,
  type When,
} from './faults.ts';

type AnyRule = When & Readonly<Record<string, unknown>>;
type Live = { readonly rule: AnyRule; readonly endsAtMs: number; left: number; readonly seed: number };

export type FaultOptions = {
  readonly seed?: number | undefined;
  /** Before each text and create request is looked at. */
  readonly onSubject?: (point: 'text' | 'create') => void;
  /** Every fault was taken away. */
  readonly onClear?: () => void;
  /** The rules of a fault are others now. */
  readonly onChange?: (name: FaultName) => void;
};

const NAMES = Object.keys(FAULTS) as FaultName[];
const NOBODY: Subject = { from: '', to: '', body: '', ordinal: 0 };

/**
 * A number in [0, 1) that depends on nothing but what is asked. FNV-1a over the text, then the finish of MurmurHash3,
 * because FNV alone hardly mixes the last characters, and the ordinal is the last.
 */
function chanceOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

function fits({ match }: AnyRule, { from, to, body }: Subject): boolean {
  if (match === undefined) return true;
  if (match.from !== undefined && match.from !== from) return false;
  if (match.to !== undefined && match.to !== to) return false;
  return match.body === undefined || body.includes(match.body);
}

/** Chosen by the seed, the fault, the pair and the ordinal. Without an ordinal, by plain chance. */
function isChosen(name: FaultName, { rule, seed }: Live, subject: Subject): boolean {
  if (rule.ratio === undefined) return true;
  if (subject.ordinal === 0) return Math.random() < rule.ratio;
  return chanceOf(`${seed}|${name}|${subject.from}|${subject.to}|${subject.ordinal}`) < rule.ratio;
}

export function createFaults(options: FaultOptions = {}): Faults {
  const { onSubject = () => {}, onChange = () => {}, onClear = () => {} } = options;
  const rules = new Map<FaultName, Live[]>();
  const ordinals = new Map<string, number>();
  let currentSeed = options.seed ?? 1;

  const isOver = (live: Live): boolean => live.left === 0 || Date.now() >= live.endsAtMs;
  const liveOf = (rule: AnyRule): Live => {
    const { count, ratio, forMs } = rule;
    const endless = ratio !== undefined || forMs !== undefined;
    return {
      rule,
      left: count ?? (endless ? Number.POSITIVE_INFINITY : 1),
      endsAtMs: forMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + forMs,
      seed: currentSeed,
    };
  };
  const replace = (name: FaultName, lives: readonly Live[]): void => {
    const some = lives.filter((live) => !isOver(live));
    if (some.length === 0) rules.delete(name);
    else rules.set(name, some);
    onChange(name);
  };

  const set = (plan: FaultPlan): void => {
    for (const [name, value] of Object.entries(plan) as [
      FaultName,
      number | AnyRule | readonly AnyRule[] | undefined,
    ][]) {
      if (value === undefined) continue;
      const list = typeof value === 'number' ? [{ count: value }] : [value].flat();
      replace(name, (list as AnyRule[]).map(liveOf));
    }
  };

  return {
    set,
    add: (name, rule) => replace(name, [...(rules.get(name) ?? []), liveOf(rule as AnyRule)]),
    mix(newSeed, ratios) {
      currentSeed = newSeed;
      ordinals.clear();
      const entries = Object.entries(ratios).map(([name, value]) => [
        name,
        typeof value === 'number' ? { ratio: value } : value,
      ]);
      set(Object.fromEntries(entries));
    },
    clear() {
      const names = [...rules.keys()];
      rules.clear();
      ordinals.clear();
      onClear();
      for (const name of names) onChange(name);
    },
    pending() {
      const left = (name: FaultName) =>
        (rules.get(name) ?? []).filter((live) => !isOver(live)).reduce((sum, live) => sum + live.left, 0);
      return Object.fromEntries(NAMES.map((name) => [name, left(name)])) as Record<FaultName, number>;
    },
    subject(point, { from, to, body }) {
      onSubject(point);
      // Nobody asks for the ordinal while there are no rules, and a load test must not pay for it.
      if (rules.size === 0) return { from, to, body, ordinal: 0 };
      const key = `${point}|${from}|${to}`;
      const ordinal = (ordinals.get(key) ?? 0) + 1;
      ordinals.set(key, ordinal);
      return { from, to, body, ordinal };
    },
    take<Name extends FaultName>(name: Name, subject: Subject = NOBODY) {
      const lives = rules.get(name);
      if (lives === undefined) return null;
      const taken = lives.find((live) => !isOver(live) && fits(live.rule, subject) && isChosen(name, live, subject));
      if (taken !== undefined) taken.left -= 1;
      if (lives.every(isOver)) rules.delete(name);
      return (taken?.rule ?? null) as DetailsOf<Name> | null;
    },
  };
}
