// What every service answers besides its own routes.
import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../observability/metrics.ts';

export type Readiness = {
  /** Names what is not ready; empty when all is. */
  check(): Promise<readonly string[]>;
};

/** /health: the process lives. /ready: it can do its work, or why not. /metrics: Prometheus. */
export function healthRoutes(
  app: FastifyInstance,
  deps: { name: string; readiness: Readiness; metrics: Metrics },
): void {
  app.get('/health', async () => ({ status: 'ok', service: deps.name }));
  app.get('/ready', async (_request, reply) => {
    const reasons = await deps.readiness.check();
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .send({ ready: reasons.length === 0, service: deps.name, reasons });
  });
  app.get('/metrics', async (_request, reply) => {
    return reply.type(deps.metrics.registry.contentType).send(await deps.metrics.registry.metrics());
  });
}
