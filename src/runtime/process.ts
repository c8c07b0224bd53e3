// What the parts of one process share.
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { createProbe } from '../agents/staged-probe/probe.ts';
import type { Spool } from '../bridge/spool/spool.ts';
import type { Channel } from '../channels/channel.ts';
import type { Simulator } from '../channels/simulator/simulator.ts';
import type { Config, Part } from '../config.ts';
import type { Outage } from '../database/outage.ts';
import type { Sql } from '../database/pools.ts';
import type { AgentDeps } from '../http/api/agent-bodies.ts';
import { docsRoutes } from '../http/docs.ts';
import { healthRoutes, type Readiness } from '../http/health.ts';
import { createServer } from '../http/server.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createEgress } from '../security/guarded-fetch.ts';
import type { SecretBox } from '../security/secrets.ts';
import type { Storage } from './storage.ts';

export type RuntimeOptions = {
  readonly config: Config;
  readonly parts: readonly Part[];
  readonly logger: Logger;
  /** The database is gone for good: the program should end. */
  readonly onLost: (error: unknown) => void;
};

/** What the parts of one process share. */
export type Shared = RuntimeOptions &
  Storage & {
    readonly outage: Outage;
    readonly metrics: Metrics;
    readonly spool: Spool | null;
    readonly secretBox: SecretBox;
    /** Signs the links under which agents fetch media. */
    readonly mediaKey: Buffer;
    readonly channel: Channel;
    readonly optOutScope: string | null;
    /** Null with a real carrier. */
    readonly simulator: Simulator | null;
    readonly stack: AsyncDisposableStack;
    readonly state: { closing: boolean };
  };

/** What registering and changing agents takes: each part that does it has a way out of its own. */
export function agentDeps({ config, pools, secretBox, stack }: Shared): AgentDeps {
  const { egressAllow } = config;
  const http = createEgress({ allow: egressAllow, connectMs: config.agentDeadlines.connectMs });
  stack.defer(() => http.destroy());
  return { sql: pools.web, secretBox, egressAllow, probe: createProbe({ http, egressAllow }) };
}

/** Of the time for stopping, this share is left to turns and questions under way before they are given back or cut off. */
export const DRAIN_SHARE = 0.7;

export const NO_ANSWER = 'the database does not answer';

/** A server with the routes that every service has, closed with the rest. `isPublic`: it faces the internet. */
export function service(shared: Shared, name: string, readiness: Readiness, isPublic = false): FastifyInstance {
  const { state, metrics, logger, stack } = shared;
  const app = createServer({ name, isPublic, logger, isClosing: () => state.closing });
  docsRoutes(app);
  healthRoutes(app, {
    name,
    isPublic,
    metrics,
    readiness: {
      ...readiness,
      check: async () => [...reasons(!state.closing, 'stopping'), ...(await readiness.check())],
    },
  });
  stack.defer(() => app.close());
  return app;
}

export function reasons(isFine: boolean, reason: string): string[] {
  return isFine ? [] : [reason];
}

/** True when the pool answers within a second. */
export async function answers(sql: Sql): Promise<boolean> {
  const late = new AbortController();
  const answer = sql`select 1`.then(
    () => true,
    () => false,
  );
  const result = await Promise.race([answer, sleep(1_000, false, { signal: late.signal }).catch(() => false)]);
  late.abort();
  return result;
}
