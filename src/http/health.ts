// What every service answers besides its own routes.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import { DarkspereError } from '../errors.ts';
import type { Metrics } from '../observability/metrics.ts';

export type Readiness = {
  /** Names what is not ready; empty when all is. */
  check(): Promise<readonly string[]>;
  /** What an operator should know all the same. */
  notes?(): Promise<readonly string[]>;
};

/** /health: the process lives. /ready: it can do its work, or why not. /metrics: Prometheus. */
export function healthRoutes(
  app: FastifyInstance,
  deps: { name: string; readiness: Readiness; metrics: Metrics },
): void {
  app.get('/health', async () => ({ status: 'ok', service: deps.name }));
  app.get('/ready', async (_request, reply) => {
    const reasons = await deps.readiness.check();
    const notes = (await deps.readiness.notes?.()) ?? [];
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .send({ ready: reasons.length === 0, service: deps.name, reasons, ...(notes.length === 0 ? {} : { notes }) });
  });
  app.get('/metrics', async (request, reply) => {
    if (!isFromInside(request)) throw new DarkspereError('not_found', 'There is nothing at this address.');
    return reply.type(deps.metrics.registry.contentType).send(await deps.metrics.registry.metrics());
  });
}

const INSIDE = new Set(['loopback', 'private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat']);

/**
 * Metrics are for the machine and its own network. The gateway faces the internet, mostly through a proxy or a tunnel on
 * the same machine: what was forwarded came from outside whatever the socket says.
 */
function isFromInside(request: FastifyRequest): boolean {
  const { headers, socket } = request.raw;
  if (headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined) return false;
  const address = socket.remoteAddress ?? '';
  return ipaddr.isValid(address) && INSIDE.has(ipaddr.process(address).range());
}
