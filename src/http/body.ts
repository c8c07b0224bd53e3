// Reading a JSON body: the first thing that is wrong is named, with the fix.
import type { z } from 'zod';
import { DarkspereError } from '../errors.ts';
import { isStorable } from '../text.ts';

/** The body as its schema describes it; throws `invalid_request` with `param`. Use strict objects: unknown fields are refused. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown, within?: string): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error, 'body', within);
}

/** The first thing that is wrong, with its name and what to do: `invalid_request` with `param`. */
export function invalid(error: z.ZodError, where: 'body' | 'query', within?: string): DarkspereError {
  const issue = error.issues[0]!;
  const isUnknown = issue.code === 'unrecognized_keys';
  const param = [...(within === undefined ? [] : [within]), ...issue.path, ...(isUnknown ? [issue.keys[0]!] : [])].join(
    '.',
  );
  if (param === '') return new DarkspereError('invalid_request', 'The body must be a JSON object.');
  const message = isUnknown
    ? `Unknown ${where === 'body' ? 'field' : 'query parameter'} ${param}. Remove it or correct its name.`
    : `${param} ${wrong(issue)}.`;
  return new DarkspereError('invalid_request', message, { param });
}

function wrong(issue: z.core.$ZodIssue): string {
  const isMissing = issue.code === 'invalid_type' && /received undefined$/.test(issue.message);
  if (isMissing) return 'is missing';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${/^[aeiou]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.join(', ')}`;
    case 'too_small':
      return `must ${limit(issue.origin, 'at least', issue.minimum)}`;
    case 'too_big':
      return `must ${limit(issue.origin, 'at most', issue.maximum)}`;
    case 'invalid_format':
      return FORMATS[issue.format] ?? issue.message;
    default:
      return issue.message;
  }
}

const FORMATS: Readonly<Record<string, string>> = {
  uuid: 'must be a UUID',
  url: 'must be a URL of the scheme that is asked for, like https://example.com/picture.png',
  datetime: 'must be a time like 2026-01-31T10:00:00Z',
};

function limit(origin: string, how: string, bound: number | bigint): string {
  if (origin === 'string') return `have ${how} ${bound} ${bound === 1 ? 'character' : 'characters'}`;
  if (origin === 'array') return `have ${how} ${bound} ${bound === 1 ? 'entry' : 'entries'}`;
  return `be ${how} ${bound}`;
}

/**
 * Why a JSON value from outside cannot be stored, or null when it can. Walks without recursion, because a body nested
 * 50,000 deep parses but breaks whatever serialises it, and because PostgreSQL's jsonb takes neither NUL nor half a
 * surrogate pair.
 */
export function unstorable(value: unknown, maxDepth: number): string | null {
  for (const { part, depth } of partsOf(value)) {
    if (typeof part === 'string' && !isStorable(part)) return 'contains a NUL character or half a surrogate pair';
    if (depth >= maxDepth && isObject(part)) return `is nested deeper than ${maxDepth} levels`;
  }
  return null;
}

/** True for a value that something which works by recursion could break on. */
export function isTooDeep(value: unknown, maxDepth: number): boolean {
  for (const { part, depth } of partsOf(value)) if (depth >= maxDepth && isObject(part)) return true;
  return false;
}

/** A value and everything in it, keys too; `depth` is how many objects and arrays it stands in. */
function* partsOf(value: unknown): Generator<{ readonly part: unknown; readonly depth: number }> {
  const left: { part: unknown; depth: number }[] = [{ part: value, depth: 0 }];
  for (let item = left.pop(); item !== undefined; item = left.pop()) {
    yield item;
    const { part, depth } = item;
    if (!isObject(part)) continue;
    for (const [key, inner] of Object.entries(part)) left.push({ part: key, depth }, { part: inner, depth: depth + 1 });
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
