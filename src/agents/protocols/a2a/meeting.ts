import type { Dispatcher } from 'undici';
import { z } from 'zod';
import type { Approach } from '../../agent.ts';
import { type Meeting, meetOver, met } from '../meeting.ts';
import { orAborted } from '../sdk-wire.ts';
import { failureOf, noCard } from './a2a.ts';
import { clientFor, fetchCard, openA2aWire } from './client.ts';

const named = z.object({
  name: z.string().nullable().catch(null),
  version: z.string().nullable().catch(null),
  skills: z.array(z.object({ id: z.string() })).catch([]),
});

/** Reads the agent's card and finds a binding that is spoken here: it is as reachable as these. Never throws. */
export function meetA2a(approach: Approach, http: Dispatcher): Promise<Meeting> {
  const wire = openA2aWire(approach, http);
  return meetOver(
    wire,
    async () => {
      const card = await orAborted(fetchCard(approach, wire), wire.signal);
      if (card === null) return noCard(wire);
      const { transport } = await clientFor(card, wire);
      const { name, version, skills } = named.parse(card);
      const detail = `its card is read; it speaks ${transport.protocolName} ${transport.protocolVersion}`;
      return met(detail, { offers: skills.map(({ id }) => id), name, version });
    },
    (error) => failureOf(error, wire),
  );
}
