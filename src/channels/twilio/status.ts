import { isUuid } from '../../ids.ts';
import type { CarrierState, StatusReport } from '../channel.ts';
import { type Form, single } from './form.ts';
import { malformed, readMessageSid, requireAccount } from './inbound.ts';

/** Twilio's message statuses as states of ours; null for those of inbound messages. One that is not here is not followed. */
const STATES: ReadonlyMap<string, CarrierState | null> = new Map([
  ['accepted', 'accepted'],
  ['scheduled', 'accepted'],
  ['queued', 'accepted'],
  ['sending', 'accepted'],
  ['sent', 'sent'],
  ['delivered', 'delivered'],
  ['read', 'read'],
  ['failed', 'failed'],
  ['canceled', 'failed'],
  ['undelivered', 'undelivered'],
  ['receiving', null],
  ['received', null],
]);

/** What a status of Twilio's means to us; null when it means nothing. */
export function carrierState(status: unknown): CarrierState | null {
  return typeof status === 'string' ? (STATES.get(status) ?? null) : null;
}

/**
 * Reads an authentic status callback; null when its status is not one we follow. Throws `webhook_malformed` for another
 * account, a bad MessageSid or a query that we did not put there: fields of a signed form can be moved into the query.
 */
export function readStatus(form: Form, path: string, accountSid: string): StatusReport | null {
  const partId = readPartId(path);
  const providerId = readMessageSid(form);
  requireAccount(form, accountSid);
  const state = carrierState(single(form, 'MessageStatus'));
  if (state === null) return null;
  return { partId, providerId, state, errorCode: readErrorCode(form) };
}

function readPartId(path: string): string | null {
  const at = path.indexOf('?');
  if (at === -1 || at === path.length - 1) return null;
  const [name, value = '', ...more] = path.slice(at + 1).split(/[=&]/);
  if (name !== 'part' || more.length > 0)
    throw malformed('query', 'The callback URL has a query that we did not write.');
  return isUuid(value) ? value.toLowerCase() : null;
}

function readErrorCode(form: Form): string | null {
  const code = single(form, 'ErrorCode');
  return code !== null && /^[1-9]\d{0,5}$/.test(code) ? code : null;
}
