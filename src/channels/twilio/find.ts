// Settles what `send` left unknown: was this text accepted or not? A message overlooked here is a text sent twice.
import { now } from '../../clock.ts';
import { DarkspereError } from '../../errors.ts';
import { storable } from '../../text.ts';
import type { ChannelKind, SentMessage } from '../channel.ts';
import { readAddress, wireAddress } from './address.ts';
import { call } from './call.ts';
import type { Carrier } from './carrier.ts';
import { MESSAGE_SID } from './inbound.ts';
import { carrierState } from './status.ts';

export type FindQuery = {
  readonly channel: ChannelKind;
  readonly from: string;
  readonly to: string;
  readonly since: Date;
};

const MAX_MESSAGES = 200;
const PAGE_SIZE = 100;
/** A message of Twilio's is about 1 KB of JSON plus its text. */
const MAX_ANSWER = 1024 * 1024;
/** Times of the carrier have whole seconds, and what it says of its clock is a moment old. */
const SLACK_MS = 60_000;

/**
 * Messages from `from` to `to` created since `since`, oldest first, by our clock: its own may be minutes off. Throws
 * `carrier_unavailable`.
 */
export async function findSentMessages(
  carrier: Carrier,
  query: FindQuery,
  signal: AbortSignal,
): Promise<SentMessage[]> {
  // Asked without a date first: a message that still waits in Twilio's queue has no DateSent, so a filter by it may hide
  // the very one in question. Only a pair with more texts than we read is asked for again, narrowed to these days.
  const recent = await list(carrier, query, null, signal);
  const all = recent.complete
    ? recent.rows
    : [...recent.rows, ...(await list(carrier, query, new Date(query.since.getTime() + recent.aheadMs), signal)).rows];
  const found = new Map<string, SentMessage>();
  for (const row of all) {
    const message = readMessage(row, recent.aheadMs);
    if (message !== null && message.createdAt.getTime() >= query.since.getTime() - SLACK_MS) {
      found.set(message.providerId, message);
    }
  }
  return [...found.values()].sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
}

async function list(carrier: Carrier, query: FindQuery, day: Date | null, signal: AbortSignal) {
  const rows: unknown[] = [];
  let aheadMs = 0;
  let next: URL | null = new URL(carrier.messagesUrl);
  next.searchParams.set('To', wireAddress(query.channel, query.to));
  next.searchParams.set('From', wireAddress(query.channel, query.from));
  // The name really ends in '>': DateSent>=2026-01-31 is the field `DateSent>`.
  if (day !== null) next.searchParams.set('DateSent>', new Date(day.getTime() - SLACK_MS).toISOString().slice(0, 10));
  next.searchParams.set('PageSize', String(PAGE_SIZE));
  while (next !== null && rows.length < MAX_MESSAGES) {
    const page: Page = await readPage(carrier, next, signal);
    rows.push(...page.messages);
    aheadMs = page.aheadMs;
    // An empty page that names a next one would be a circle.
    next = page.messages.length === 0 ? null : page.next;
  }
  return { rows, complete: next === null, aheadMs };
}

type Page = {
  readonly messages: readonly unknown[];
  readonly next: URL | null;
  /** By how much the carrier's clock is ahead of ours. */
  readonly aheadMs: number;
};

async function readPage(carrier: Carrier, url: URL, signal: AbortSignal): Promise<Page> {
  const request = { method: 'GET', url, headers: carrier.headers, body: null, maxBytes: MAX_ANSWER } as const;
  const answer = await call(carrier.http, request, carrier.timeouts, signal);
  if (answer.failure !== null) throw unavailable(`no complete answer (${answer.failure})`);
  if (answer.status !== 200) throw unavailable(`HTTP ${answer.status}`);
  const parsed = parseJson(answer.body);
  if (!Array.isArray(parsed?.messages)) throw unavailable('an answer that is not a list of messages');
  const aheadMs = Date.parse(answer.date ?? '') - now().getTime();
  return {
    messages: parsed.messages,
    next: nextPage(parsed.next_page_uri, carrier.messagesUrl),
    aheadMs: Number.isNaN(aheadMs) ? 0 : aheadMs,
  };
}

// The credential goes with every page, so a page elsewhere is an attempt to get it.
function nextPage(uri: unknown, base: URL): URL | null {
  if (typeof uri !== 'string' || uri === '') return null;
  const url = URL.parse(uri, base.href);
  if (url === null || url.origin !== base.origin) throw unavailable('a next page on another host');
  return url;
}

function readMessage(row: unknown, aheadMs: number): SentMessage | null {
  if (typeof row !== 'object' || row === null) return null;
  const {
    sid,
    to,
    body,
    direction,
    status,
    date_created: created,
    num_segments: count,
  } = row as Record<string, unknown>;
  const createdAt = new Date(typeof created === 'string' ? Date.parse(created) - aheadMs : Number.NaN);
  if (direction === 'inbound') return null;
  if (typeof sid !== 'string' || !MESSAGE_SID.test(sid) || Number.isNaN(createdAt.getTime())) return null;
  const address = typeof to === 'string' ? (readAddress(to)?.address ?? to) : '';
  const segments = Number(count);
  return {
    providerId: sid,
    to: address,
    text: typeof body === 'string' ? storable(body) : '',
    isAsked: direction !== 'outbound-reply',
    // One that is new to us is there all the same.
    state: carrierState(status) ?? 'accepted',
    createdAt,
    segments: Number.isSafeInteger(segments) && segments > 0 ? segments : null,
  };
}

function parseJson(body: Buffer): Record<string, unknown> | null {
  try {
    return JSON.parse(body.toString('utf8')) as Record<string, unknown> | null;
  } catch {
    return null;
  }
}

function unavailable(what: string): DarkspereError {
  return new DarkspereError('carrier_unavailable', `Asked for the messages sent, the carrier gave ${what}.`);
}
