// What all shapes share.
import { z } from 'zod';
import { isStorable } from '../../text.ts';

export const time = z.iso.datetime().meta({ description: 'ISO 8601, UTC' });
export const id = z.uuid();
/** From outside, where it is compared with one of ours: whoever keeps ids as UUIDs may write them in capitals (RFC 9562). */
export const givenId = id.toLowerCase();
/** Text from outside that is stored, up to so many characters. */
export const storableText = (max: number) =>
  z.string().max(max).refine(isStorable, 'must not contain NUL or half a surrogate pair');
/** Why a session went to another agent last. */
export const failoverReason = z.string().nullable().meta({
  description:
    'Of the newest move to another agent: the error code that the one before failed with, `unhealthy` (or it fits no longer), `gone`, or `moved` (by hand). Null: none, or its record is kept no longer.',
});

/** Anything that is listed comes in pages; `next_cursor` is null on the last one. */
export const page = <T extends z.ZodType>(item: T) =>
  z.object({ data: z.array(item), next_cursor: z.string().nullable() });

export const PageQuery = z.strictObject({
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});
