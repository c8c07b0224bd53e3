// Twilio's Messages REST API over the carrier.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { partIdOf } from './callbacks.ts';
import type { Carrier } from './carrier.ts';
import { checkCreate } from './create-message.ts';
import type { Faults, Subject } from './faults.ts';
import { mediaPath } from './fields.ts';
import type { HistoryRecorder } from './history.ts';
import { readBody, sendJson } from './http.ts';
import { listMessages } from './list-messages.ts';
import { type Message, type MessageStore, toWire } from './message.ts';
import type { OptOuts } from './opt-out.ts';
import type { Pacing } from './pacing.ts';
import { refusal } from './refusals.ts';
import { createRestFaults } from './rest-faults.ts';
import type { Timers } from './timers.ts';

export type RestParts = {
  readonly accountSid: string;
  readonly authToken: string;
  readonly numbers: readonly string[];
  readonly carrier: Carrier;
  readonly store: MessageStore;
  readonly faults: Faults;
  readonly history: HistoryRecorder;
  readonly timers: Timers;
  /** Media of inbound messages want the credential, as with Twilio's setting "Enforce HTTP Basic Auth". */
  readonly protectsMedia: boolean;
  readonly optOuts: OptOuts;
  readonly pacing: Pacing;
};

const LATE_IN_LIST_MS = 5_000;
/** A body that is larger than any message. */
const TOO_LONG = { kind: 'refused', code: 21617 } as const;

function refuse(response: ServerResponse, code: number, otherStatus?: number): void {
  const { status, body } = refusal(code, otherStatus);
  sendJson(response, status, body);
}

type Decision = { readonly sid?: string; readonly code?: number | null; readonly fault?: string | null };

function subjectOf(faults: Faults, form: URLSearchParams): Subject {
  const field = (name: string) => form.get(name) ?? '';
  return faults.subject('create', { from: field('From'), to: field('To'), body: field('Body') });
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Answers everything under /2010-04-01/; `path` carries no query. */
export function createRestApi(parts: RestParts) {
  const { accountSid, carrier, faults, history, store } = parts;
  const misbehave = createRestFaults(faults, parts.timers);
  const base = `/2010-04-01/Accounts/${accountSid}/Messages`;
  const credentials = `Basic ${Buffer.from(`${accountSid}:${parts.authToken}`).toString('base64')}`;
  const expected = digest(credentials);
  const questions = { numbers: parts.numbers, isOptedOut: parts.optOuts.has, isQueueFull: isQueueFull(parts.pacing) };

  /** Writes down how a create request was decided; `answered` follows when the whole answer has left. */
  const note = (response: ServerResponse, form: URLSearchParams, decided: Decision): void => {
    const entry = history.add({
      kind: 'create',
      sid: decided.sid ?? null,
      from: form.get('From') ?? '',
      to: form.get('To') ?? '',
      body: form.get('Body') ?? '',
      partId: partIdOf(form.get('StatusCallback')),
      code: decided.code ?? null,
      answered: null as number | null,
      fault: decided.fault ?? null,
    });
    response.once('finish', () => {
      entry.answered = response.statusCode;
    });
  };

  const create = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    const form = new URLSearchParams(body ?? '');
    const subject = subjectOf(faults, form);
    const trouble = misbehave.before(subject);
    if (trouble !== null) {
      note(response, form, { code: trouble.code, fault: trouble.name });
      return trouble.act(response);
    }
    const checked = body === null ? TOO_LONG : checkCreate(form, questions);
    if (checked.kind === 'refused') {
      note(response, form, { code: checked.code });
      return refuse(response, checked.code);
    }
    const refused = misbehave.refusal(subject);
    if (refused?.accepted === false) {
      note(response, form, { code: refused.code, fault: refused.name });
      return refused.act(response);
    }
    const late = faults.take('lateInList', subject);
    const message = carrier.accept(checked.draft, late === null ? 0 : (late.delayMs ?? LATE_IN_LIST_MS));
    const json = JSON.stringify(toWire(message, accountSid));
    const carry = () => carrier.carry(message, checked.validityMs, subject);
    const isEarly = faults.take('earlyCallbacks', subject) !== null;
    const wrong = refused ?? misbehave.after(subject, json);
    const fault = wrong?.name ?? (isEarly ? 'earlyCallbacks' : null);
    note(response, form, { sid: message.sid, code: wrong?.code ?? null, fault });
    if (isEarly) await carry();
    if (wrong !== null) wrong.act(response);
    else sendJson(response, 201, json);
    // The answer leaves first; what is reported afterwards may still overtake it on another connection, as in reality.
    if (!isEarly) setImmediate(() => void carry());
  };

  /** A scheduled message can be taken back, and nothing else of a message changed. */
  const update = async (request: IncomingMessage, response: ServerResponse, message: Message): Promise<void> => {
    const form = new URLSearchParams((await readBody(request)) ?? '');
    if (form.get('Status') !== 'canceled' || !carrier.cancel(message)) return refuse(response, 30409);
    sendJson(response, 200, JSON.stringify(toWire(message, accountSid)));
  };

  const redirectToMedia = (response: ServerResponse, path: string): void => {
    const [sid = '', , mediaSid = ''] = path.slice(base.length + 1).split('/');
    const index = Number.parseInt(mediaSid.slice(-4), 16);
    const url = store.get(sid)?.mediaUrls[index];
    if (url === undefined || path !== mediaPath(accountSid, sid, index)) refuse(response, 20404);
    else response.writeHead(307, { location: url }).end();
  };

  return async (request: IncomingMessage, response: ServerResponse, path: string, query: string): Promise<void> => {
    const given = request.headers.authorization;
    const isKnown = given !== undefined && timingSafeEqual(digest(given), expected);
    if (request.method === 'GET' && path.startsWith(`${base}/`) && path.includes('/Media/')) {
      return isKnown || !parts.protectsMedia ? redirectToMedia(response, path) : refuse(response, 20003);
    }
    if (!isKnown) return refuse(response, 20003);
    if (request.method === 'GET') {
      const broken = faults.take('http500OnLookup', subjectOf(faults, new URLSearchParams(query)));
      if (broken !== null) return refuse(response, broken.status === 429 ? 20429 : 20500, broken.status ?? 500);
    }
    if (path === `${base}.json`) {
      if (request.method === 'POST') return create(request, response);
      if (request.method === 'GET') {
        return sendJson(response, 200, JSON.stringify(listMessages(store, new URLSearchParams(query), accountSid)));
      }
    }
    const sid = new RegExp(`^${base}/((?:SM|MM)[0-9a-f]{32})\\.json$`).exec(path)?.[1];
    const message = sid === undefined ? undefined : store.get(sid);
    if (message === undefined || message.listedAtMs > Date.now()) return refuse(response, 20404);
    if (request.method === 'POST') return update(request, response, message);
    if (request.method !== 'GET') return refuse(response, 20404);
    sendJson(response, 200, JSON.stringify(toWire(message, accountSid)));
  };
}

function isQueueFull(pacing: Pacing): (sender: string) => boolean {
  return (sender) => pacing.isFull(sender, Date.now());
}
