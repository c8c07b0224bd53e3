// What an operator does.
import { z } from 'zod';
import { id } from './basics.ts';

export const Accepted = z.object({ id, status: z.literal('queued') });
