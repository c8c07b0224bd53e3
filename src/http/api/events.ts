// GET /v1/events: the stream of what happens.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EventHub } from '../event-stream.ts';
import { route } from '../routes.ts';

export type EventsDeps = { readonly events: EventHub };

const ID = /^[\x21-\x7e]{1,200}$/;

export function eventRoutes(app: FastifyInstance, { events }: EventsDeps): void {
  route(app, {
    method: 'GET',
    path: '/v1/events',
    summary: 'What happens, as it happens',
    description: [
      'Server-sent events. `change` (ChangeEvent) is a hint of what changed, to be read anew, `agent` (AgentEvent) one of an agent; `phone` (PhoneEvent) is something at the simulated carrier;',
      '`beat` (BeatEvent) comes at once and every five seconds, so that silence can be told from a cut, and has an id to go on from; `reset` says that something may have been missed: read everything anew.',
      'After a cut give the id of the last event, in `Last-Event-ID` as browsers do by themselves or in `last_event_id` on a first connection, and what came in between follows.',
    ].join(' '),
    tag: 'console',
    scope: 'read',
    query: z.strictObject({ last_event_id: z.string().regex(ID, 'must be the id of an event').optional() }),
    answers: { 200: { type: 'text/event-stream', description: 'The stream; it does not end by itself.' } },
    handle: async ({ query, principal, request, reply }) => {
      // Behind a cut the browser repeats its address: the header is newer than that.
      const header = request.headers['last-event-id'];
      const lastEventId = typeof header === 'string' && ID.test(header) ? header : query.last_event_id;
      return events.open(request, reply, principal, lastEventId);
    },
  });
}
