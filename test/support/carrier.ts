// Sending and settling against a simulated carrier without jobs: a test decides when each step happens.
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { createCarrierStanding } from '../../src/bridge/carrier-standing.ts';
import { createOutbound } from '../../src/bridge/outbound.ts';
import { createSettle } from '../../src/bridge/settle.ts';
import type { Channel } from '../../src/channels/channel.ts';
import { type SimulatorOptions, startSimulator } from '../../src/channels/simulator/simulator.ts';
import { createTwilioChannel, createTwilioDispatcher } from '../../src/channels/twilio/twilio.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { OURS } from './bridge.ts';
import type { TestDatabase } from './database.ts';
import { startProxy, type Wire } from './proxy.ts';
import { newSid } from './signed-webhook.ts';

export type Carrier = Awaited<ReturnType<typeof openCarrier>>;

export type SendStops = {
  /** Awaited between the claim of a part and its request. */
  beforeRequest?(partId: string): Promise<void>;
  /** Awaited between the carrier's answer and its record. */
  beforeRecord?(partId: string): Promise<void>;
  /** In whose name parts are claimed; without it, one that is gone. */
  readonly poolId?: string;
};

/** The carrier behind a wire that can be cut. Its status callbacks reach nobody; `stops` hold a send between two steps. */
export async function openCarrier(db: TestDatabase, options: Partial<SimulatorOptions> = {}, stops: SendStops = {}) {
  const accountSid = newSid('AC');
  const authToken = randomBytes(16).toString('hex');
  const simulator = await startSimulator({
    port: 0,
    accountSid,
    authToken,
    numbers: [OURS],
    webhookUrl: 'http://127.0.0.1:1/nobody',
    pacing: 'off',
    ...options,
  });
  const wire: Wire = await startProxy({ host: '127.0.0.1', port: Number(new URL(simulator.url).port) });
  const apiUrl = `http://127.0.0.1:${wire.port}`;
  const http = createTwilioDispatcher(apiUrl);
  const logger = pino({ level: 'silent' });
  const twilio = createTwilioChannel({
    accountSid,
    authTokens: [authToken],
    publicUrl: 'http://127.0.0.1:1',
    apiUrl,
    messagingServiceSid: null,
    ourNumbers: () => new Set([OURS]),
    http,
    mediaHttp: http,
  });
  const channel: Channel = {
    ...twilio,
    async send(part, signal, mayLeave) {
      await stops.beforeRequest?.(part.id);
      const sent = await twilio.send(part, signal, mayLeave);
      await stops.beforeRecord?.(part.id);
      return sent;
    },
  };
  const sql = db.pools.worker;
  const metrics = createMetrics();
  const standing = createCarrierStanding({ logger, metrics });
  const outbound = createOutbound({
    sql,
    channel,
    optOutScope: null,
    poolId: stops.poolId ?? 'a pool that is gone',
    standing,
    logger,
    metrics,
  });
  return {
    simulator,
    wire,
    metrics,
    /** What the sender would tell an operator of the carrier. */
    notes: standing.notes,
    send: (part: { id: string }) => outbound.send({ p: part.id }),
    /** The sender hears of every STOP from now on, as a worker does. */
    /** `onHeard` is called after each. */
    async hearStops(onHeard: () => void = () => {}) {
      const listening = await sql.listen('darkspere_cancel', (notice) => {
        outbound.cancel(notice);
        onHeard();
      });
      return () => listening.unlisten();
    },
    /** Looks for an unknown part as the job does; `graceMs` is how long the carrier may still come up with it. */
    settle: (part: { id: string }, graceMs = 60_000) =>
      createSettle({ sql, channel, outbound, logger, graceMs })({ p: part.id }),
    /** What the carrier took for this phone, oldest first. */
    taken: (phone: string) =>
      simulator
        .messages()
        .filter((message) => message.to === phone && message.direction === 'outbound-api')
        .toReversed(),
    async close() {
      await http.destroy();
      await wire.down();
      await simulator.close();
    },
  };
}
