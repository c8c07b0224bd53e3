// What every service answers besides its own routes.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import { DarkspereError } from '../errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import { authenticate } from './authentication.ts';
import { refuseKeyInUrl } from './routes.ts';

export type Readiness = {
  /** Names what is not ready; empty when all is. */
  check(): Promise<readonly string[]>;
  /** What an operator should know all the same. */
  notes?(): Promise<readonly string[]>;
};

/** /health: the process lives. /ready: it can do its work, or why not. /metrics: Prometheus. */
export function healthRoutes(
  app: FastifyInstance,
  deps: { name: string; isPublic: boolean; readiness: Readiness; metrics: Metrics },
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
    if (deps.isPublic) await admitToMetrics(request);
    else if (!isFrom(INSIDE, request)) throw new DarkspereError('not_found', 'There is nothing at this address.');
    return reply.type(deps.metrics.registry.contentType).send(await deps.metrics.registry.metrics());
  });
}

const MACHINE = new Set(['loopback']);
const INSIDE = new Set(['loopback', 'private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat']);

/**
 * What faces the internet gives its metrics to this machine, and to whoever may read: a proxy or a tunnel in our own network need
 * not say that it forwards.
 */
async function admitToMetrics(request: FastifyRequest): Promise<void> {
  refuseKeyInUrl(request);
  if (!isFrom(MACHINE, request)) await authenticate(request, { scope: 'read', agents: false, accounts: false });
}

/** Whether a connection comes from there; what was forwarded came from elsewhere, whatever the socket says. */
function isFrom(ranges: ReadonlySet<string>, request: FastifyRequest): boolean {
  const { headers, socket } = request.raw;
  if (headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined) return false;
  const address = socket.remoteAddress ?? '';
  return ipaddr.isValid(address) && ranges.has(ipaddr.process(address).range());
}
