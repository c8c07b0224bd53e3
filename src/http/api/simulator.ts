// The simulated carrier in the console: a phone, and what goes wrong on demand. Only where the simulator runs.
import type { FastifyInstance } from 'fastify';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { explainDebuggerCode } from '../../channels/simulator/debugger-codes.ts';
import type { CarrierEvent } from '../../channels/simulator/events.ts';
import { FaultRequest, faultsWire } from '../../channels/simulator/fault-request.ts';
import type { Message } from '../../channels/simulator/message.ts';
import { PICTURE_NAMES, pictureOf } from '../../channels/simulator/pictures.ts';
import type { Simulator } from '../../channels/simulator/simulator.ts';
import { call } from '../../channels/twilio/call.ts';
import { explainErrorCode } from '../../channels/twilio/error-codes.ts';
import { DarkspereError } from '../../errors.ts';
import { parseBody } from '../body.ts';
import {
  type Fault,
  Faults,
  type PhoneEvent,
  type PhoneMessage,
  PhoneMessages,
  PhoneText,
  PhoneTextBody,
  SimulatorState,
} from '../contract.ts';
import { sendFile } from '../media.ts';
import { route } from '../routes.ts';

export type SimulatorDeps = {
  readonly simulator: Simulator | null;
  /** Where pictures at addresses of others are fetched from, through the egress guard. */
  readonly pictures: Dispatcher;
};

/** Of one phone; who wants older ones has the conversation. */
const MAX_MESSAGES = 500;
const MAX_PICTURE_BYTES = 5 * 1024 * 1024;
const PICTURE_TYPES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);
const TIMEOUTS = { connectMs: 3_000, headersMs: 5_000, bodyMs: 5_000 };
const PICTURE = { type: 'image/png', description: 'The picture.' };
const SIMULATOR = { tag: 'simulator', errors: ['simulator_off'] } as const;

export function simulatorRoutes(app: FastifyInstance, deps: SimulatorDeps): void {
  const running = (): Simulator => {
    if (deps.simulator === null) throw new DarkspereError('simulator_off');
    return deps.simulator;
  };

  route(app, {
    ...SIMULATOR,
    method: 'GET',
    path: '/v1/simulator',
    summary: 'The simulated carrier',
    scope: 'read',
    answers: { 200: SimulatorState },
    handle: async () => {
      const { numbers, faults, url } = running();
      const pictures = PICTURE_NAMES.map(([name, title]) => ({
        title,
        url: pictureUrl(url, name),
        preview_url: `/v1/simulator/pictures/${name}`,
      }));
      return { numbers: [...numbers], faults: faultList(faults).filter(({ left }) => left !== 0), pictures };
    },
  });

  route(app, {
    ...SIMULATOR,
    method: 'GET',
    path: '/v1/simulator/phones/:number/messages',
    summary: 'What a phone sent and received',
    description: 'The newest 500, oldest first.',
    scope: 'read',
    params: z.object({ number: z.string().min(1).max(160) }),
    answers: { 200: PhoneMessages },
    handle: async ({ params: { number } }) => {
      const found = running()
        .messages()
        .filter(({ from, to }) => from === number || to === number);
      return { data: found.slice(0, MAX_MESSAGES).reverse().map(phoneMessage) };
    },
  });

  route(app, {
    ...SIMULATOR,
    method: 'POST',
    path: '/v1/simulator/texts',
    summary: 'Send a text from a phone',
    description:
      'The answer comes before Darkspere has taken the text; what becomes of it is in `GET /v1/events`. `fault` names faults as in `POST /v1/simulator/faults`; they happen to this text, or to what answers it within two minutes.',
    scope: 'write',
    body: PhoneTextBody,
    answers: { 202: PhoneText },
    handle: async ({ body: { from, to, text, media_urls: mediaUrls, fault } }) => {
      if (text === '' && mediaUrls.length === 0) {
        throw new DarkspereError('invalid_request', 'text is empty, and there are no media_urls. Send one of them.', {
          param: 'text',
        });
      }
      const simulator = running();
      const plan = fault === undefined ? undefined : parseBody(FaultRequest, fault, 'fault');
      return { sid: simulator.submit({ from, to, body: text, mediaUrls }, plan).sid };
    },
  });

  route(app, {
    ...SIMULATOR,
    method: 'GET',
    path: '/v1/simulator/faults',
    summary: 'What can go wrong, and what is to',
    scope: 'read',
    answers: { 200: Faults },
    handle: async () => ({ data: faultList(running().faults) }),
  });

  route(app, {
    ...SIMULATOR,
    method: 'POST',
    path: '/v1/simulator/faults',
    summary: 'Make something go wrong',
    description:
      'By name: a number of times, a rule (`count`, `ratio`, `for_ms`, `match`, and details of the fault), or a list of rules. Faults that are not named stay.',
    scope: 'write',
    body: FaultRequest,
    answers: { 200: Faults },
    handle: async ({ body }) => {
      const { faults } = running();
      faults.set(body);
      return { data: faultList(faults) };
    },
  });

  route(app, {
    ...SIMULATOR,
    method: 'DELETE',
    path: '/v1/simulator/faults',
    summary: 'Let nothing go wrong any more',
    scope: 'write',
    answers: { 200: Faults },
    handle: async () => {
      const { faults } = running();
      faults.clear();
      return { data: faultList(faults) };
    },
  });

  route(app, {
    ...SIMULATOR,
    method: 'GET',
    path: '/v1/simulator/pictures/:name',
    summary: 'A picture to send',
    scope: 'read',
    params: z.object({ name: z.string().max(40) }),
    answers: { 200: PICTURE },
    handle: async ({ params: { name }, reply }) => {
      running();
      const bytes = pictureOf(name);
      if (bytes === null) throw new DarkspereError('not_found', 'There is no such picture.');
      return sendFile(reply, 'image/png', bytes, 'inline');
    },
  });

  route(app, {
    ...SIMULATOR,
    method: 'GET',
    path: '/v1/simulator/media/:sid/:n',
    summary: 'A picture that a phone sent or received',
    scope: 'read',
    params: z.object({ sid: z.string().regex(/^(?:MM|SM)[0-9a-f]{32}$/), n: z.string().regex(/^\d$/) }),
    answers: { 200: PICTURE },
    handle: async ({ params: { sid, n }, reply }) => {
      const simulator = running();
      const url = simulator.messages().find((message) => message.sid === sid)?.mediaUrls[Number(n)];
      const picture = url === undefined ? null : await fetchPicture(simulator, deps.pictures, url);
      if (picture === null) throw new DarkspereError('not_found', 'There is no such picture, or it cannot be fetched.');
      return sendFile(reply, picture.contentType, picture.bytes, 'inline');
    },
  });
}

/** Phones of the simulator as the stream of events tells of them. */
export function phoneEvents(simulator: Simulator) {
  return (listener: (event: PhoneEvent) => void): (() => void) =>
    simulator.watch((event) => listener(phoneEvent(event)));
}

function phoneEvent({ type, message, status, errorCode }: CarrierEvent): PhoneEvent {
  return { type, message: phoneMessage({ ...message, status, errorCode }) };
}

/** Pictures go through us: a page of ours loads nothing from elsewhere. */
function phoneMessage({ sid, direction, from, to, body, mediaUrls, webhook, ...message }: Message): PhoneMessage {
  // A text that any delivery brought has arrived, whatever became of the others.
  const failed = webhook !== null && webhook.taken === 0 ? webhook.code : null;
  const code = webhook === null ? message.errorCode : failed;
  return {
    sid,
    at: new Date(message.createdAtMs).toISOString(),
    direction: direction === 'inbound' ? 'in' : 'out',
    from,
    to,
    body,
    media_urls: mediaUrls.map((_, n) => `/v1/simulator/media/${sid}/${n}`),
    segments: message.segments,
    status: failed === null ? message.status : 'failed',
    error_code: code,
    error_reason: code === null ? null : (explainErrorCode(String(code))?.meaning ?? explainDebuggerCode(code)),
    webhook: webhook && { taken: webhook.taken, http_status: webhook.httpStatus },
  };
}

function faultList(faults: Simulator['faults']): Fault[] {
  const wire = faultsWire(faults) as Record<string, Omit<Fault, 'name'>>;
  return Object.entries(wire).map(([name, { counts, left }]) => ({ name, counts, left }));
}

function pictureUrl(simulatorUrl: string, name: string): string {
  return `${simulatorUrl}/simulator/pictures/${name}.png`;
}

/** Only pictures: what else an address may hold is nobody's business here. */
async function fetchPicture(
  simulator: Simulator,
  http: Dispatcher,
  address: string,
): Promise<{ contentType: string; bytes: Buffer } | null> {
  const own = PICTURE_NAMES.find(([name]) => address === pictureUrl(simulator.url, name))?.[0];
  if (own !== undefined) return { contentType: 'image/png', bytes: pictureOf(own)! };
  const url = URL.parse(address);
  if (url === null) return null;
  const request = { method: 'GET', url, headers: {}, body: null, maxBytes: MAX_PICTURE_BYTES } as const;
  const answer = await call(http, request, TIMEOUTS, AbortSignal.timeout(9_000));
  const contentType = answer.contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (answer.failure !== null || answer.status !== 200 || !PICTURE_TYPES.has(contentType)) return null;
  return { contentType, bytes: answer.body };
}
