// Reading a JSON body: the first thing that is wrong is named, with the fix.
import type { z } from 'zod';
import { DarkspereError } from '../errors.ts';

/** The body as its schema describes it; throws `invalid_request` with `param`. Use strict objects: unknown fields are refused. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  if (issue?.code === 'unrecognized_keys') {
    const path = [...issue.path, issue.keys[0]].join('.');
    throw new DarkspereError('invalid_request', `Unknown field ${path}. Remove it or correct its name.`, {
      param: path,
    });
  }
  const path = issue?.path.join('.') ?? '';
  if (path === '') throw new DarkspereError('invalid_request', 'The body must be a JSON object.');
  throw new DarkspereError('invalid_request', `${path}: ${issue?.message ?? 'wrong shape'}.`, { param: path });
}

/**
 * Why a JSON value from outside cannot be stored, or null when it can. Walks without recursion, because a body nested
 * 50,000 deep parses but breaks whatever serialises it, and because PostgreSQL's jsonb takes neither NUL nor half a
 * surrogate pair.
 */
export function unstorable(value: unknown, maxDepth: number): string | null {
  const left: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  for (let item = left.pop(); item !== undefined; item = left.pop()) {
    const { value: part, depth } = item;
    if (typeof part === 'string' && !isStorableText(part)) return 'contains a NUL character or half a surrogate pair';
    if (typeof part !== 'object' || part === null) continue;
    if (depth >= maxDepth) return `is nested deeper than ${maxDepth} levels`;
    for (const [key, inner] of Object.entries(part)) {
      left.push({ value: key, depth }, { value: inner, depth: depth + 1 });
    }
  }
  return null;
}

/** True when PostgreSQL can store the text. */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}
