// Twilio's Messages REST API over the carrier.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Carrier } from './carrier.ts';
import { checkCreate } from './create-message.ts';
import type { Faults } from './faults.ts';
import { mediaPath } from './fields.ts';
import { readBody, sendJson } from './http.ts';
import { listMessages } from './list-messages.ts';
import { type MessageStore, toWire } from './message.ts';
import type { OptOuts } from './opt-out.ts';
import type { Pacing } from './pacing.ts';
import { type RefusalCode, refusal } from './refusals.ts';

export type RestParts = {
  readonly accountSid: string;
  readonly authToken: string;
  readonly numbers: readonly string[];
  readonly carrier: Carrier;
  readonly store: MessageStore;
  readonly faults: Faults;
  readonly optOuts: OptOuts;
  readonly pacing: Pacing;
};

/** Seconds a client is told to wait by the 429 on demand. */
const RETRY_AFTER_SECONDS = 1;

function refuse(response: ServerResponse, code: RefusalCode, headers: Record<string, string> = {}): void {
  const { status, body } = refusal(code);
  sendJson(response, status, body, headers);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Answers everything under /2010-04-01/; `path` carries no query. */
export function createRestApi(parts: RestParts) {
  const { accountSid, carrier, faults, store } = parts;
  const base = `/2010-04-01/Accounts/${accountSid}/Messages`;
  const credentials = `Basic ${Buffer.from(`${accountSid}:${parts.authToken}`).toString('base64')}`;
  const expected = digest(credentials);
  const questions = { numbers: parts.numbers, isOptedOut: parts.optOuts.has, isQueueFull: isQueueFull(parts.pacing) };

  const create = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    if (faults.take('http429') !== null) return refuse(response, 20429, { 'retry-after': String(RETRY_AFTER_SECONDS) });
    if (faults.take('http500BeforeAccept') !== null) return refuse(response, 20500);
    const checked = checkCreate(new URLSearchParams(body ?? ''), questions);
    if (body === null) return refuse(response, 21617);
    if (checked.kind === 'refused') return refuse(response, checked.code);
    const message = carrier.accept(checked.draft);
    if (faults.take('http500AfterAccept') !== null) refuse(response, 20500);
    else sendJson(response, 201, JSON.stringify(toWire(message, accountSid)));
    // The answer leaves first; what is reported afterwards may still overtake it on another connection, as in reality.
    setImmediate(() => carrier.carry(message, checked.validityMs));
  };

  const redirectToMedia = (response: ServerResponse, path: string): void => {
    const [sid = '', , mediaSid = ''] = path.slice(base.length + 1).split('/');
    const index = Number.parseInt(mediaSid.slice(-4), 16);
    const url = store.get(sid)?.mediaUrls[index];
    if (url === undefined || path !== mediaPath(accountSid, sid, index)) refuse(response, 20404);
    else response.writeHead(307, { location: url }).end();
  };

  return async (request: IncomingMessage, response: ServerResponse, path: string, query: string): Promise<void> => {
    // Media need no credential, as on a Twilio account with default settings: the address itself is the secret.
    if (request.method === 'GET' && path.startsWith(`${base}/`) && path.includes('/Media/')) {
      return redirectToMedia(response, path);
    }
    const given = request.headers.authorization;
    if (given === undefined || !timingSafeEqual(digest(given), expected)) return refuse(response, 20003);
    if (path === `${base}.json`) {
      if (request.method === 'POST') return create(request, response);
      if (request.method === 'GET') {
        return sendJson(response, 200, JSON.stringify(listMessages(store, new URLSearchParams(query), accountSid)));
      }
    }
    const sid = new RegExp(`^${base}/((?:SM|MM)[0-9a-f]{32})\\.json$`).exec(path)?.[1];
    const message = sid === undefined ? undefined : store.get(sid);
    if (request.method !== 'GET' || message === undefined) return refuse(response, 20404);
    sendJson(response, 200, JSON.stringify(toWire(message, accountSid)));
  };
}

function isQueueFull(pacing: Pacing): (sender: string) => boolean {
  return (sender) => pacing.isFull(sender, Date.now());
}
