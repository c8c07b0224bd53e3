// Replays: a turn asked again, to see what an agent says. Nothing reaches the person unless somebody sends it on purpose.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Config } from '../../config.ts';
import type { Sql } from '../../database/pools.ts';
import { DarkspereError } from '../../errors.ts';
import type { Reader } from '../../inbox/reader.ts';
import { findReplay, listReplays, requestReplay, sendReplay } from '../../inbox/replays.ts';
import type { OperatorPolicy } from '../../inbox/takeover.ts';
import { Accepted, Replay, ReplayBody, ReplayList, SendReplayBody } from '../contract/operator.ts';
import { route } from '../routes.ts';

export type ReplayRoutesDeps = {
  readonly sql: Sql;
  readonly reader: Reader;
  readonly operatorPolicy: OperatorPolicy;
  readonly config: Pick<Config, 'carrier'>;
};

const params = z.object({ id: z.uuid() });

export function replayRoutes(app: FastifyInstance, { sql, reader, operatorPolicy, config }: ReplayRoutesDeps): void {
  async function existing(id: string): Promise<Replay> {
    const replay = await findReplay(reader, id);
    if (!replay) throw new DarkspereError('not_found', 'There is no replay with this id.');
    return replay;
  }

  route(app, {
    method: 'POST',
    path: '/v1/turns/:id/replays',
    summary: 'Ask a turn again',
    description:
      'As it was, with other words, or of another agent; the agent is told what it was told then, and that it is a replay. Nothing ' +
      'is sent and nothing is written into the conversation. The answer comes later: read the replay again.',
    tag: 'operators',
    scope: 'write',
    params,
    body: ReplayBody,
    answers: { 202: Replay },
    errors: ['agent_none', 'query_too_slow'],
    handle: async ({ params: { id }, body, principal }) =>
      existing(await requestReplay(sql, { turnId: id, by: principal.name, text: body.text, agentId: body.agent_id })),
  });

  route(app, {
    method: 'GET',
    path: '/v1/turns/:id/replays',
    summary: 'The replays of a turn',
    description: 'Newest first.',
    tag: 'operators',
    scope: 'read',
    params,
    answers: { 200: ReplayList },
    errors: ['query_too_slow'],
    handle: async ({ params: { id } }) => ({ data: await listReplays(reader, id) }),
  });

  route(app, {
    method: 'GET',
    path: '/v1/replays/:id',
    summary: 'A replay',
    tag: 'operators',
    scope: 'read',
    params,
    answers: { 200: Replay },
    errors: ['query_too_slow'],
    handle: ({ params: { id } }) => existing(id),
  });

  route(app, {
    method: 'POST',
    path: '/v1/replays/:id/send',
    summary: 'Send the answer of a replay to the person',
    description:
      'Once, as the words of an operator. With a real carrier `confirm` must be the person’s number. What waits in the conversation ' +
      'stays the agent’s to answer, unless the caller has taken it over.',
    tag: 'operators',
    scope: 'write',
    params,
    body: SendReplayBody,
    answers: { 202: Accepted },
    errors: ['conflict', 'conversation_taken', 'opted_out'],
    handle: async ({ params: { id }, body, principal }) => ({
      id: await sendReplay(
        sql,
        { replayId: id, by: principal.name, confirm: body.confirm },
        { ...operatorPolicy, carrierIsReal: config.carrier.kind !== 'simulator' },
      ),
      status: 'queued' as const,
    }),
  });
}
