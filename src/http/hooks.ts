// The carrier's webhooks: raw body, signature, then straight to the bridge. Nothing is answered 200 before it is durable.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Intake } from '../bridge/intake.ts';
import type { Channel, Inbound, RawWebhook } from '../channels/channel.ts';
import { now } from '../clock.ts';
import { CATALOGUE, DarkspereError } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { toDarkspereError } from './server.ts';

export type HookDeps = {
  readonly channel: Channel;
  readonly intake: Intake;
  /** False while nobody has seen the table of our numbers yet. */
  areNumbersKnown(): boolean;
  readonly metrics: Metrics;
  readonly logger: Logger;
};

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
      const receivedAt = now().toISOString();
      const webhook = toWebhook(request);
      deps.channel.authenticate(webhook);
      await store(deps, { ...parse(deps, webhook), receivedAt });
      return reply.type('text/xml').send(EMPTY_TWIML);
    });
  }

  app.post('/webhooks/twilio/status', async (request, reply) => {
    const webhook = toWebhook(request);
    deps.channel.authenticate(webhook);
    const report = deps.channel.parseStatus(webhook);
    const outcome = report ? await deps.intake.status(report) : 'ignored';
    deps.metrics.statuses.inc({ outcome });
    return reply.code(200).send();
  });
}

function toWebhook(request: FastifyRequest): RawWebhook {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  return { path: request.raw.url ?? '', body, headers: request.headers };
}

function parse({ channel, areNumbersKnown }: HookDeps, webhook: RawWebhook): Inbound {
  try {
    return channel.parseInbound(webhook);
  } catch (error) {
    // Perhaps a number that only the table knows: refused for now, not for good.
    if (error instanceof DarkspereError && error.param === 'To' && !areNumbersKnown()) {
      throw new DarkspereError('storage_unavailable', 'The database, which knows all our numbers, was not read yet.');
    }
    throw error;
  }
}

/** Resolves when it is durable, in the database or in the spool. */
async function store({ intake, metrics }: HookDeps, text: Inbound): Promise<void> {
  const done = metrics.ingestSeconds.startTimer();
  const outcome = await intake.text(text);
  done();
  metrics.textsIn.inc({ outcome });
}
