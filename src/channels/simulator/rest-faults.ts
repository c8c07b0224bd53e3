// How the REST API misbehaves on demand: before a message is accepted, and instead of the answer that it was.
import type { ServerResponse } from 'node:http';
import type { Faults, Subject } from './faults.ts';
import { sendJson } from './http.ts';
import { refusal } from './refusals.ts';
import type { Timers } from './timers.ts';

/** A fault that happens: its name for the history, and what it does to the client. */
export type Misbehaviour = { readonly name: string; readonly code: number | null; act(response: ServerResponse): void };

const HANG_MS = 60_000;
const DRIP_MS = 5_000;
const DRIPS = 10;

export type RestFaults = {
  /** Instead of accepting; null when the request is to be handled. */
  before(subject: Subject): Misbehaviour | null;
  /** Twilio's no to a request that is right; `accepted` says that the message is sent all the same. */
  refusal(subject: Subject): (Misbehaviour & { readonly accepted: boolean }) | null;
  /** Instead of the answer `json` that the message was accepted; null when the answer is to be given. */
  after(subject: Subject, json: string): Misbehaviour | null;
};

function refuse(response: ServerResponse, code: number, otherStatus?: number, headers?: Record<string, string>): void {
  const { status, body } = refusal(code, otherStatus);
  sendJson(response, status, body, headers);
}

function cut(response: ServerResponse): void {
  response.destroy();
}

export function createRestFaults(faults: Faults, timers: Timers): RestFaults {
  const hang =
    (hangMs = HANG_MS) =>
    (response: ServerResponse) =>
      timers.after(hangMs, () => cut(response));

  const before = (subject: Subject): Misbehaviour | null => {
    const unauthorized = faults.take('http401', subject);
    if (unauthorized !== null) return { name: 'http401', code: 20_003, act: (response) => refuse(response, 20_003) };
    const storm = faults.take('http429', subject);
    if (storm !== null) {
      const { retryAfterSeconds: seconds = 1 } = storm;
      const headers = seconds === null ? {} : { 'retry-after': String(seconds) };
      return { name: 'http429', code: 20_429, act: (response) => refuse(response, 20_429, 429, headers) };
    }
    const broken = faults.take('http500BeforeAccept', subject);
    if (broken !== null) {
      return { name: 'http500BeforeAccept', code: 20_500, act: (r) => refuse(r, 20_500, broken.status ?? 500) };
    }
    const hanging = faults.take('hangBeforeAccept', subject);
    if (hanging !== null) return { name: 'hangBeforeAccept', code: null, act: hang(hanging.hangMs) };
    return faults.take('cutBeforeAccept', subject) && { name: 'cutBeforeAccept', code: null, act: cut };
  };

  const refusalOf = (subject: Subject) => {
    const rule = faults.take('refuseWith', subject);
    if (rule === null) return null;
    const { code, accepted = false } = rule;
    return { name: 'refuseWith', code, accepted, act: (response: ServerResponse) => refuse(response, code) };
  };

  const after = (subject: Subject, json: string): Misbehaviour | null => {
    const broken = faults.take('http500AfterAccept', subject);
    if (broken !== null) {
      return { name: 'http500AfterAccept', code: null, act: (r) => refuse(r, 20_500, broken.status ?? 500) };
    }
    const hanging = faults.take('hangAfterAccept', subject);
    if (hanging !== null) return { name: 'hangAfterAccept', code: null, act: hang(hanging.hangMs) };
    if (faults.take('cutAfterAccept', subject)) return { name: 'cutAfterAccept', code: null, act: cut };
    if (faults.take('cutAnswer', subject)) return { name: 'cutAnswer', code: null, act: (r) => cutInside(r, json) };
    const slow = faults.take('slowAnswer', subject);
    if (slow !== null) {
      return { name: 'slowAnswer', code: null, act: (r) => drip(r, json, (slow.overMs ?? DRIP_MS) / DRIPS) };
    }
    if (faults.take('malformedAnswer', subject) === null) return null;
    const half = json.slice(0, json.length / 2);
    return { name: 'malformedAnswer', code: null, act: (response) => sendJson(response, 200, half) };
  };

  const drip = (response: ServerResponse, json: string, everyMs: number): void => {
    const bytes = Buffer.from(json);
    const size = Math.ceil(bytes.length / DRIPS);
    response.writeHead(201, { 'content-type': 'application/json', 'content-length': bytes.length });
    const next = (from: number): void => {
      if (response.destroyed) return;
      response.write(bytes.subarray(from, from + size));
      if (from + size >= bytes.length) response.end();
      else timers.after(everyMs, () => next(from + size));
    };
    next(0);
  };

  return { before, refusal: refusalOf, after };
}

function cutInside(response: ServerResponse, json: string): void {
  const bytes = Buffer.from(json);
  response.writeHead(201, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.write(bytes.subarray(0, bytes.length / 2), () => cut(response));
}
