// The carrier's webhooks: raw body, signature, then straight to the bridge. Nothing is answered 200 before it is durable.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Consent } from '../bridge/consent.ts';
import type { Delivery } from '../bridge/delivery.ts';
import type { Ingest } from '../bridge/ingest.ts';
import type { Channel, Inbound, RawWebhook } from '../channels/channel.ts';
import { CATALOGUE, DarkspereError } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { toDarkspereError } from './server.ts';

export type HookDeps = {
  readonly channel: Channel;
  readonly consent: Consent;
  readonly ingest: Ingest;
  readonly delivery: Delivery;
  readonly metrics: Metrics;
  readonly logger: Logger;
};

/** Twilio waits 15 s but answers nobody meanwhile: when the text cannot be stored it must hear so and use its fallback. */
const STORE_MS = 900;
const EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>';
const MESSAGE_PATHS = ['/webhooks/twilio/messages', '/webhook/sms/incoming'];

/** Adds the webhook routes in a scope of their own: here bodies stay bytes. */
export async function hookRoutes(app: FastifyInstance, deps: HookDeps): Promise<void> {
  app.removeAllContentTypeParsers();
  const keepBytes = (_request: FastifyRequest, body: Buffer, done: (error: null, body: Buffer) => void) =>
    done(null, body);
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'buffer' }, keepBytes);
  // Twilio signs JSON bodies another way; the channel decides what it takes.
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, keepBytes);

  app.addHook('onError', async (request, _reply, thrown) => {
    const { code } = toDarkspereError(thrown);
    deps.metrics.webhooksRejected.inc({ code });
    if (code in CATALOGUE && CATALOGUE[code].category !== 'unknown') {
      deps.logger.warn({ trace: request.id, code, reason: toDarkspereError(thrown).message }, 'webhook refused');
    }
  });

  for (const path of MESSAGE_PATHS) {
    app.post(path, async (request, reply) => {
      const webhook = toWebhook(request);
      deps.channel.authenticate(webhook);
      await store(deps, deps.channel.parseInbound(webhook));
      return reply.type('text/xml').send(EMPTY_TWIML);
    });
  }

  app.post('/webhooks/twilio/status', async (request, reply) => {
    const webhook = toWebhook(request);
    deps.channel.authenticate(webhook);
    const report = deps.channel.parseStatus(webhook);
    const outcome = report ? await withinTime(deps.delivery.apply(report)) : 'ignored';
    deps.metrics.statuses.inc({ outcome });
    return reply.code(200).send();
  });
}

function toWebhook(request: FastifyRequest): RawWebhook {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  return { path: request.raw.url ?? '', body, headers: request.headers };
}

/** Keywords first, then the mailbox. Resolves after the commit. */
async function store(deps: HookDeps, text: Inbound): Promise<void> {
  const done = deps.metrics.ingestSeconds.startTimer();
  const outcome = await withinTime(take(deps, text));
  done();
  deps.metrics.textsIn.inc({ outcome });
}

async function take(deps: HookDeps, text: Inbound): Promise<'keyword' | 'duplicate' | 'refused' | 'stored'> {
  if (await deps.consent.handle(text)) return 'keyword';
  const taken = await deps.ingest.take(text);
  if (taken === null) return 'duplicate';
  return taken.refused === null ? 'stored' : 'refused';
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DarkspereError('storage_unavailable')), STORE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
