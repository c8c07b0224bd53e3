// The gateway: the carrier's webhooks, the /v1 API, the console.
import { createConsent } from '../bridge/consent.ts';
import { createDelivery } from '../bridge/delivery.ts';
import { createIngest } from '../bridge/ingest.ts';
import { createIntake } from '../bridge/intake.ts';
import { DEFAULT_MAX_SEGMENTS } from '../bridge/reply.ts';
import type { Spool } from '../bridge/spool/spool.ts';
import { phoneEvents } from '../http/api/simulator.ts';
import { type ApiDeps, apiRoutes } from '../http/api.ts';
import { consoleRoutes } from '../http/console.ts';
import { createEventHub } from '../http/event-stream.ts';
import type { Readiness } from '../http/health.ts';
import { hookRoutes } from '../http/hooks.ts';
import { mcpEndpoint } from '../http/mcp/endpoint.ts';
import { listen } from '../http/services.ts';
import { createLiveFeed } from '../inbox/live.ts';
import { createOverview } from '../inbox/overview.ts';
import { createEgress } from '../security/guarded-fetch.ts';
import { createGuessLimit } from '../security/guess-limit.ts';
import { stillOpen } from '../security/sessions.ts';
import { agentDeps, answers, NO_ANSWER, reasons, type Shared, service } from './process.ts';

/** Opens it; gives its URL. */
export async function openGateway(shared: Shared): Promise<string> {
  const { config, pools, channel, optOutScope, metrics, logger, numbers, spool, stack } = shared;
  const { pacing, quietMs } = config;
  const databaseAnswers = async () => shared.isOpen() && answers(pools.web);
  const intake = createIntake({
    consent: createConsent({
      sql: pools.web,
      optOutScope,
      pacing,
      maxSegments: DEFAULT_MAX_SEGMENTS,
      choosing: numbers.choosing,
    }),
    ingest: createIngest({ sql: pools.web, quietMs, optOutScope, ourNumbers: numbers.current }),
    delivery: createDelivery({ sql: pools.web, optOutScope }),
    spool,
    databaseAnswers,
    metrics,
    logger,
  });
  stack.defer(() => intake.close());
  const app = service(shared, 'gateway', gatewayReadiness(databaseAnswers, spool), true);
  await app.register(hookRoutes, { channel, intake, areNumbersKnown: numbers.areKnown, metrics, logger });
  const api = apiDeps(shared);
  await apiRoutes(app, api);
  await app.register(mcpEndpoint, {
    origins: [config.consoleUrl, config.publicUrl].map((url) => new URL(url).origin),
    logger,
    // Its library is for those who use it.
    open: async () => (await import('../http/mcp/server.ts')).createToolHandler({ ...api, logger, metrics }),
  });
  await consoleRoutes(app);
  return listen(app, 'gateway', config);
}

function apiDeps(shared: Shared): ApiDeps {
  const { config, pools, channel, optOutScope, simulator, stack } = shared;
  const sql = pools.web;
  const feed = createLiveFeed({ sql, logger: shared.logger, outage: shared.outage });
  stack.defer(() => feed.close());
  const events = createEventHub({
    feed,
    watchPhones: simulator && phoneEvents(simulator),
    stillOpen: (ids) => stillOpen(sql, ids),
  });
  stack.defer(() => events.close());
  const pictures = createEgress({ allow: config.egressAllow, connectMs: config.agentDeadlines.connectMs });
  stack.defer(() => pictures.destroy());
  const reader = { sql: pools.console, optOutScope, quietMs: config.quietMs };
  return {
    sql,
    agents: agentDeps(shared),
    reader,
    overview: createOverview(reader),
    config,
    channel,
    simulator,
    events,
    pictures,
    consoleUrl: config.consoleUrl,
    guesses: createGuessLimit(),
    mediaKey: shared.mediaKey,
    policy: { optOutScope, pacing: config.pacing, maxSegments: DEFAULT_MAX_SEGMENTS },
    operatorPolicy: { optOutScope, pacing: config.pacing, takeoverMinutes: config.takeoverMinutes },
  };
}

/**
 * Ready is who can take texts. A gateway that can keep them in its spool stays so without a database: a load balancer that
 * took it out would turn away what the spool is there for.
 */
function gatewayReadiness(databaseAnswers: () => Promise<boolean>, spool: Spool | null): Readiness {
  if (spool === null) return { check: async () => reasons(await databaseAnswers(), NO_ANSWER) };
  return {
    check: async () => (spool.isFull ? reasons(await databaseAnswers(), `${NO_ANSWER} and the spool is full`) : []),
    notes: async () => [
      ...reasons(await databaseAnswers(), `${NO_ANSWER}: texts are kept in the spool`),
      ...reasons(spool.records === 0, waitingIn(spool)),
    ],
  };
}

function waitingIn({ records }: Spool): string {
  return records === 1 ? '1 record waits in the spool' : `${records} records wait in the spool`;
}
