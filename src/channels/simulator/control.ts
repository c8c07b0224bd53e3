// The simulator's own API under /simulator: play a phone, watch what happens, ask for faults. For the person at this
// machine only, so it has no credential; the checks below keep web pages out.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { DarkspereError, errorBody } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Carrier } from './carrier.ts';
import type { CarrierEvent, Events } from './events.ts';
import { FaultRequest, faultsWire, MixRequest, ScriptRequest } from './fault-request.ts';
import type { Scripts } from './fault-script.ts';
import type { Faults } from './faults.ts';
import type { History, HistoryEntry } from './history.ts';
import { BODY_LIMIT, readBody, sendJson } from './http.ts';
import type { Message, MessageStore } from './message.ts';
import { pictureOf } from './pictures.ts';

export type ControlParts = {
  readonly accountSid: string;
  readonly numbers: readonly string[];
  readonly carrier: Carrier;
  readonly store: MessageStore;
  readonly faults: Faults;
  readonly scripts: Scripts;
  readonly events: Events;
  readonly history: History;
};

const Text = z.strictObject({
  from: z
    .string()
    .regex(
      /^(?:(?:whatsapp:)?\+[1-9]\d{6,14}|whatsapp:[A-Z]{2}(?:\.[A-Za-z0-9]{1,128}){1,2})$/,
      'must be a phone number like +15551230001, whatsapp:+15551230001 or whatsapp:US.13491208655302',
    ),
  to: z.string().optional(),
  body: z.string().max(1600, 'must have at most 1,600 characters').default(''),
  media_urls: z
    .array(z.url({ protocol: /^https?$/ }))
    .max(10)
    .default([]),
});

const url = z.url({ protocol: /^https?$/ });
const Urls = z.strictObject({ webhook_url: url, fallback_url: url.optional() });

/** Entries of the history in one answer. */
const PAGE = 1000;

/** A watcher who does not read is let go at this many unread bytes, instead of keeping every event for them. */
const WATCHER_BACKLOG = 1024 * 1024;
const HEARTBEAT_MS = 15_000;

const LOOPBACK = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/;

/**
 * A page in the browser of this machine could otherwise text as anybody: a foreign Origin is a page of somebody
 * else, a foreign Host is a name that was re-pointed to this machine (DNS rebinding).
 */
function checkCaller(request: IncomingMessage): void {
  const { host, origin } = request.headers;
  if (host === undefined || !LOOPBACK.test(host)) {
    throw new DarkspereError('forbidden', 'The simulator answers to localhost only.');
  }
  if (origin !== undefined && !LOOPBACK.test(origin.replace(/^https?:\/\//, ''))) {
    throw new DarkspereError('forbidden', 'The simulator does not answer to other web sites.');
  }
}

async function bodyOf<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  if (request.headers['content-type']?.split(';', 1)[0]?.trim() !== 'application/json') {
    throw new DarkspereError('unsupported_media_type', 'Send application/json.');
  }
  const text = await readBody(request);
  if (text === null) throw new DarkspereError('body_too_large', `The body may have ${BODY_LIMIT} bytes.`);
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const param = issue.path.join('.') || (issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : 'body');
  throw new DarkspereError('invalid_request', `${param}: ${issue.message}`, { param });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DarkspereError('malformed_body', 'The body is not JSON.');
  }
}

function eventWire({ type, message, status, errorCode, detail }: CarrierEvent): Record<string, unknown> {
  return {
    type,
    sid: message.sid,
    from: message.from,
    to: message.to,
    body: message.body,
    ...(message.mediaUrls.length === 0 ? {} : { media_urls: message.mediaUrls }),
    segments: message.segments,
    status,
    ...(errorCode === null ? {} : { error_code: errorCode }),
    ...(detail === null ? {} : { detail }),
    at: new Date().toISOString(),
  };
}

function messageWire(message: Message): Record<string, unknown> {
  const { sid, from, to, body, direction, segments, status } = message;
  return {
    sid,
    from,
    to,
    body,
    media_urls: message.mediaUrls,
    direction,
    segments,
    status,
    error_code: message.errorCode,
    at: new Date(message.createdAtMs).toISOString(),
  };
}

function concerns(message: Message, phone: string | null): boolean {
  return phone === null || message.from === phone || message.to === phone;
}

/** A page from behind `after`; `next` is what to ask for then, the same again when there is nothing newer. */
function historyPage(history: History, query: URLSearchParams): Record<string, unknown> {
  const after = Number(query.get('after') ?? 0) || 0;
  const page = history
    .entries()
    .filter(({ n }) => n > after)
    .slice(0, PAGE);
  return { entries: page.map(entryWire), next: page.at(-1)?.n ?? after, forgotten: history.forgotten };
}

function entryWire({ atMs, ...entry }: HistoryEntry): Record<string, unknown> {
  const fields = Object.entries(entry).map(([name, value]) => [
    name.replace(/AtMs$/, 'At').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    name.endsWith('AtMs') ? new Date(value as number).toISOString() : value,
  ]);
  return { ...Object.fromEntries(fields), at: new Date(atMs).toISOString() };
}

/** Server-sent events of one phone, or of all, from now on. */
function watch(request: IncomingMessage, response: ServerResponse, events: Events, phone: string | null): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(': listening\n\n');
  const stop = events.subscribe((event) => {
    if (!concerns(event.message, phone)) return;
    response.write(`data: ${JSON.stringify(eventWire(event))}\n\n`);
    if (response.writableLength > WATCHER_BACKLOG) response.destroy();
  });
  const heartbeat = setInterval(() => response.write(': \n\n'), HEARTBEAT_MS);
  request.on('close', () => {
    clearInterval(heartbeat);
    stop();
  });
  response.on('close', stop);
}

/** `GET /simulator/pictures/<name>.png`, for people who send one. */
function sendPicture(request: IncomingMessage, response: ServerResponse, path: string): void {
  const name = /^\/simulator\/pictures\/([a-z]+)\.png$/.exec(path)?.[1];
  const bytes = request.method === 'GET' && name !== undefined ? pictureOf(name) : null;
  if (bytes === null) throw new DarkspereError('not_found');
  response.writeHead(200, { 'content-type': 'image/png', 'content-length': bytes.length }).end(bytes);
}

/** Answers everything under /simulator; errors have the shape of the product's API. */
export function createControlApi(parts: ControlParts) {
  const { accountSid, carrier, events, faults, history, numbers, scripts, store } = parts;

  const route = async (
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    query: URLSearchParams,
  ): Promise<void> => {
    const phone = query.get('phone');
    const answer = (status: number, body: unknown): void => sendJson(response, status, JSON.stringify(body));
    switch (`${request.method} ${path}`) {
      case 'GET /simulator': {
        const { counts, problems } = events;
        return answer(200, { account_sid: accountSid, numbers, counts, faults: faultsWire(faults), problems });
      }
      case 'POST /simulator/texts': {
        const { from, to, body, media_urls: mediaUrls } = await bodyOf(request, Text);
        if (body === '' && mediaUrls.length === 0) {
          throw new DarkspereError('invalid_request', 'body: empty, and there are no media_urls.', { param: 'body' });
        }
        const sent = carrier.textFromPerson({ from, body, mediaUrls, ...(to === undefined ? {} : { to }) });
        return answer(202, { sid: sent.sid, from, to: sent.to });
      }
      case 'GET /simulator/messages': {
        const found = [...store.all()].filter((message) => concerns(message, phone));
        return answer(200, { messages: found.reverse().map(messageWire) });
      }
      case 'GET /simulator/events':
        return watch(request, response, events, phone);
      case 'GET /simulator/history':
        return answer(200, historyPage(history, query));
      case 'POST /simulator/urls': {
        const { webhook_url: webhookUrl, fallback_url: fallbackUrl = null } = await bodyOf(request, Urls);
        carrier.setUrls(webhookUrl, fallbackUrl);
        return answer(200, { webhook_url: webhookUrl, fallback_url: fallbackUrl });
      }
      case 'POST /simulator/faults':
        faults.set(await bodyOf(request, FaultRequest));
        return answer(200, { faults: faultsWire(faults) });
      case 'POST /simulator/mix': {
        const { seed, ratios } = await bodyOf(request, MixRequest);
        faults.mix(seed, ratios);
        return answer(200, { faults: faultsWire(faults) });
      }
      case 'POST /simulator/script':
        scripts.play(await bodyOf(request, ScriptRequest), faults);
        return answer(202, { faults: faultsWire(faults) });
      case 'DELETE /simulator/faults':
        faults.clear();
        return answer(200, { faults: faultsWire(faults) });
      default:
        return sendPicture(request, response, path);
    }
  };

  return async (request: IncomingMessage, response: ServerResponse, path: string, query: string): Promise<void> => {
    try {
      checkCaller(request);
      await route(request, response, path, new URLSearchParams(query));
    } catch (thrown) {
      const error = thrown instanceof DarkspereError ? thrown : new DarkspereError('internal_error');
      sendJson(response, error.status, JSON.stringify(errorBody(error, newId())));
    }
  };
}
