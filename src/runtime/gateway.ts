// The gateway: the carrier's webhooks, the /v1 API, the console.
import { createConsent } from '../bridge/consent.ts';
import { createDelivery } from '../bridge/delivery.ts';
import { createIngest } from '../bridge/ingest.ts';
import { createIntake } from '../bridge/intake.ts';
import type { Spool } from '../bridge/spool/spool.ts';
import { postRoutes } from '../http/api/posts.ts';
import { apiRoutes } from '../http/api.ts';
import type { Readiness } from '../http/health.ts';
import { hookRoutes } from '../http/hooks.ts';
import { mediaRoutes } from '../http/media.ts';
import { listen } from '../http/services.ts';
import { createGuessLimit } from '../security/guess-limit.ts';
import { answers, NO_ANSWER, reasons, type Shared, service } from './process.ts';

/** How long a reply may be when no number's own setting applies (MORE, posts by agents), segments. */
const MAX_SEGMENTS = 10;

/** Opens it; gives its URL. */
export async function openGateway(shared: Shared): Promise<string> {
  const { config, pools, channel, optOutScope, metrics, logger, numbers, spool, stack } = shared;
  const { pacing, quietMs } = config;
  const databaseAnswers = async () => shared.isOpen() && answers(pools.web);
  const intake = createIntake({
    consent: createConsent({ sql: pools.web, optOutScope, pacing, maxSegments: MAX_SEGMENTS }),
    ingest: createIngest({ sql: pools.web, quietMs, optOutScope, ourNumbers: numbers.current }),
    delivery: createDelivery({ sql: pools.web, optOutScope }),
    spool,
    databaseAnswers,
    metrics,
    logger,
  });
  stack.defer(() => intake.close());
  const app = service(shared, 'gateway', gatewayReadiness(databaseAnswers, spool));
  await app.register(hookRoutes, { channel, intake, areNumbersKnown: numbers.areKnown, metrics, logger });
  mediaRoutes(app, { sql: pools.web, channel, key: shared.mediaKey });
  postRoutes(app, { sql: pools.web, policy: { optOutScope, pacing, maxSegments: MAX_SEGMENTS } });
  await apiRoutes(app, { sql: pools.web, consoleUrl: config.consoleUrl, guesses: createGuessLimit() });
  return listen(app, 'gateway', config);
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
