// Where a page ends: the id of its last message. Ids order messages, so a page is what is older, whatever has come since.
import { DarkspereError } from '../errors.ts';
import { isUuid } from '../ids.ts';

/** Before every message. */
export const NEWEST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** The message before which a page begins. Throws invalid_request for what is no cursor of ours. */
export function before(cursor: string | undefined): string {
  if (cursor === undefined) return NEWEST;
  if (isUuid(cursor)) return cursor.toLowerCase();
  throw new DarkspereError(
    'invalid_request',
    'cursor must be the next_cursor of the page before, unchanged. Leave it out for the first page.',
    { param: 'cursor' },
  );
}

/** When an id was made, ISO 8601: its first 48 bits are milliseconds. */
export function timeOf(id: string): string {
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toISOString();
}
