// Reading single variables while collecting every problem, so that an operator corrects them all in one go.
import { parseValue } from './values.ts';
import { NAMES, type Name, VARIABLES, type Value, variable } from './variables.ts';

export type Problem = { readonly variable: Name; readonly what: string; readonly fix: string };

/** The environment reduced to what is ours: the texts of known variables, and the names of all the others. */
export type RawEnv = {
  readonly texts: Readonly<Partial<Record<Name, string>>>;
  readonly otherNames: readonly string[];
};

export type Reading = {
  readonly problems: Problem[];
  readonly warnings: string[];
  /** True when the variable is set to something, right or wrong. */
  isSet(name: Name): boolean;
  /** The value, else its default; null when there is neither, or when it is wrong (which is then among the problems). */
  read<N extends Name>(name: N): Value<N> | null;
  problem(variable: Name, what: string, fix: string): void;
  warn(text: string): void;
};

/** Starts a reading of `raw`; empty secrets are problems at once, whatever else is set. */
export function createReading(raw: RawEnv): Reading {
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const secrets = secretTexts(raw);
  const problem = (name: Name, what: string, fix: string) => {
    problems.push({ variable: name, what, fix });
  };
  const parsed = new Map<Name, unknown>();

  const parse = (name: Name): unknown => {
    const text = textOf(raw, name);
    const fallback = variable(name).default;
    if (text === null) return fallback === null ? null : defaultOf(name, fallback);
    const result = parseValue(VARIABLES[name].kind, text, (shown) =>
      show(shown, variable(name).secret === true, secrets),
    );
    if (result.ok) return result.value;
    problem(name, result.what, result.fix);
    return fallback === null ? null : defaultOf(name, fallback);
  };

  for (const name of NAMES)
    if (isEmptySecret(raw, name)) problem(name, 'is set but empty', 'set its value or remove the variable');
  return {
    problems,
    warnings,
    isSet: (name) => textOf(raw, name) !== null || isEmptySecret(raw, name),
    read<N extends Name>(name: N): Value<N> | null {
      // Parsed once: a wrong value is one problem however often it is asked for.
      if (!parsed.has(name)) parsed.set(name, parse(name));
      return parsed.get(name) as Value<N> | null;
    },
    problem,
    warn: (text) => {
      warnings.push(text);
    },
  };
}

function defaultOf(name: Name, text: string): unknown {
  const result = parseValue(VARIABLES[name].kind, text, String);
  if (!result.ok) throw new Error(`the default of ${name} ${result.what}`);
  return result.value;
}

/** An empty variable counts as absent: compose files and CI pass on empty ones. */
function textOf(raw: RawEnv, name: Name): string | null {
  const text = raw.texts[name];
  return text === undefined || text.trim() === '' ? null : text;
}

/** Except for a secret: there an empty value is an injection that failed, and going on without would open a door. */
function isEmptySecret(raw: RawEnv, name: Name): boolean {
  const mayBeEmpty = variable(name).secret !== true || name === 'DB_PASSWORD';
  return !mayBeEmpty && raw.texts[name] !== undefined && textOf(raw, name) === null;
}

/** Every text that must not appear in a message, passwords inside URLs included. */
function secretTexts(raw: RawEnv): string[] {
  return NAMES.flatMap((name) => (variable(name).secret ? [raw.texts[name] ?? ''] : []))
    .flatMap((text) => [...text.split(','), URL.parse(text)?.password ?? ''])
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

const LONGEST_SHOWN = 40;

/** A wrong value as it may stand in a message: quoted and clipped, or hidden when it holds (or is part of) a secret. */
function show(text: string, secret: boolean, secrets: readonly string[]): string {
  const leaks = secrets.some((known) => text.includes(known) || (text.length >= 4 && known.includes(text)));
  if (secret || leaks) return 'a value that is not shown';
  return JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text);
}
