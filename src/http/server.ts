// One HTTP server per service, all with the same manners: coded errors, limits against slow and oversized clients, ids.
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import { isUnstorable, mayPass } from '../database/faults.ts';
import { CATALOGUE, DarkspereError, type ErrorCode, errorBody, messageOf } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Logger } from '../observability/logger.ts';
import { validatorCompiler } from './routes.ts';
import { refuseUnreadable } from './unreadable.ts';

export type ServiceOptions = {
  readonly name: string;
  readonly logger: Logger;
  /** It faces the internet, through a reverse proxy mostly: one in a network of ours is believed whom it forwards for. */
  readonly isPublic?: boolean;
  /** True while the process is stopping: connections are told to go. */
  readonly isClosing: () => boolean;
};

const MAX_BODY_BYTES = 64 * 1024;
/** In the terms of proxy-addr: loopback, link-local, and the private ranges of IPv4 and IPv6. */
const OWN_NETWORKS = ['loopback', 'linklocal', 'uniquelocal'];
const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'malformed_body',
  404: 'not_found',
  413: 'body_too_large',
  415: 'unsupported_media_type',
};

/** A server with our error format; routes are added by the caller. */
export function createServer(options: ServiceOptions): FastifyInstance {
  const { logger } = options;
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    // For `request.ip` alone, by which wrong keys are counted; nothing asks for the host or the protocol of a request.
    trustProxy: options.isPublic === true && OWN_NETWORKS,
    // Slow clients: headers and body must be here within this time, idle connections go after a minute.
    connectionTimeout: 10_000,
    requestTimeout: 10_000,
    // Node looks for such clients every 30 s only, unless told otherwise.
    http: { connectionsCheckingInterval: 1_000 },
    keepAliveTimeout: 65_000,
    // A request that is already being answered when the process stops is answered.
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    genReqId: () => newId(),
    clientErrorHandler: refuseUnreadable,
    routerOptions: { ignoreTrailingSlash: false },
    // An address that cannot be decoded reaches no route, and no handler of ours either.
    frameworkErrors: (_error, request, reply) => {
      const error = new DarkspereError('not_found', 'There is nothing at this address: it cannot be decoded.');
      void (reply as FastifyReply).code(error.status).send(errorBody(error, request.id));
    },
  });
  // Fastify reads text/plain too; nothing of ours is.
  app.removeContentTypeParser('text/plain');
  // Schemas of routes are zod's.
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((thrown: FastifyError | DarkspereError | Error, request, reply) => {
    const error = toDarkspereError(thrown);
    // Whoever hung up is told nothing, and an agent's failure is told to whoever asked: neither is a fault of ours.
    if (error.status >= 500 && !reply.raw.destroyed) {
      const facts = { service: options.name, trace: request.id, route: request.routeOptions.url, code: error.code };
      logger[error.code.startsWith('agent_') ? 'warn' : 'error'](
        { ...facts, error: messageOf(thrown) },
        'a request failed',
      );
    }
    const { retryAfterSeconds } = error.facts;
    if (typeof retryAfterSeconds === 'number') reply.header('retry-after', retryAfterSeconds);
    void reply.code(error.status).send(errorBody(error, request.id));
  });
  app.setNotFoundHandler((request, reply) => {
    void reply
      .code(404)
      .send(errorBody(new DarkspereError('not_found', 'There is nothing at this address.'), request.id));
  });
  // Asked at the end of each request: one that was under way when the stop began would keep its connection, and us, for
  // another keepAliveTimeout.
  app.addHook('onSend', async (_request, reply) => {
    if (options.isClosing()) reply.header('connection', 'close');
  });
  return app;
}

const UNSTORABLE =
  'Something in the request contains a NUL character, which cannot be stored or searched for. Remove it.';

/** What leaves us for anything thrown: coded, and without the inside of an unforeseen error. */
export function toDarkspereError(thrown: unknown): DarkspereError {
  if (thrown instanceof DarkspereError) return thrown;
  const status = (thrown as FastifyError).statusCode;
  const code = status === undefined ? undefined : BY_STATUS[status];
  if (code) return new DarkspereError(code, `${CATALOGUE[code].title} ${messageOf(thrown)}`);
  if (status !== undefined && status >= 400 && status < 500)
    return new DarkspereError('request_refused', `${messageOf(thrown)}.`, { status });
  if (isUnstorable(thrown)) return new DarkspereError('invalid_request', UNSTORABLE);
  if (mayPass(thrown)) return new DarkspereError('storage_unavailable', undefined, { cause: thrown });
  return new DarkspereError('internal_error', undefined, { cause: thrown });
}
