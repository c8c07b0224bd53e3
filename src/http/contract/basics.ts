// What all shapes share.
import { z } from 'zod';

export const time = z.iso.datetime().meta({ description: 'ISO 8601, UTC' });
export const id = z.uuid();

/** Anything that is listed comes in pages; `next_cursor` is null on the last one. */
export const page = <T extends z.ZodType>(item: T) =>
  z.object({ data: z.array(item), next_cursor: z.string().nullable() });

export const PageQuery = z.strictObject({
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});
