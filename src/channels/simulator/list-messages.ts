// Twilio's list of messages: filters and pages.
import { type Message, type MessageStore, toWire } from './message.ts';

/** A date filter compares whole seconds, because that is all Twilio keeps; a date without a time means its midnight. */
function secondsOf(text: string): number {
  return Math.floor(Date.parse(text) / 1000);
}

function matches(message: Message, query: URLSearchParams): boolean {
  if (message.listedAtMs > Date.now()) return false;
  const to = query.get('To');
  const from = query.get('From');
  if ((to !== null && to !== message.to) || (from !== null && from !== message.from)) return false;
  // A message still in the queue has no date_sent; it is found by the time it was created.
  const sent = Math.floor((message.sentAtMs ?? message.createdAtMs) / 1000);
  const on = query.get('DateSent');
  const notBefore = query.get('DateSent>');
  const notAfter = query.get('DateSent<');
  if (on !== null && !isOn(sent, on)) return false;
  if (notBefore !== null && !(sent >= secondsOf(notBefore))) return false;
  return notAfter === null || sent <= secondsOf(notAfter);
}

function isOn(sent: number, on: string): boolean {
  const wholeDay = /^\d{4}-\d{2}-\d{2}$/.test(on);
  return wholeDay ? Math.floor(sent / 86_400) === Math.floor(secondsOf(on) / 86_400) : sent === secondsOf(on);
}

function pageSizeOf(query: URLSearchParams): number {
  const size = Number(query.get('PageSize') ?? 50);
  return Number.isInteger(size) && size >= 1 ? Math.min(size, 1000) : 50;
}

/** Behind everything when the token's message is gone, so that a pager ends instead of starting over. */
function indexAfter(found: readonly Message[], sid: string): number {
  const index = found.findIndex((message) => message.sid === sid);
  return index === -1 ? found.length : index + 1;
}

/**
 * One page, newest first. The token names the last message of the page before, so that messages created while
 * somebody pages are neither skipped nor seen twice.
 */
export function listMessages(store: MessageStore, query: URLSearchParams, accountSid: string): Record<string, unknown> {
  const path = `/2010-04-01/Accounts/${accountSid}/Messages.json`;
  const size = pageSizeOf(query);
  const page = Math.max(0, Math.trunc(Number(query.get('Page') ?? 0)) || 0);
  const after = query.get('PageToken')?.replace(/^PA/, '') ?? null;
  const found = [...store.all()].filter((message) => matches(message, query));
  const start = after === null ? page * size : indexAfter(found, after);
  const shown = found.slice(start, start + size);
  const uriOf = (number: number, token: string | null): string => {
    const params = new URLSearchParams(query);
    params.set('PageSize', String(size));
    params.set('Page', String(number));
    if (token === null) params.delete('PageToken');
    else params.set('PageToken', token);
    return `${path}?${params}`;
  };
  const last = shown.at(-1);
  const hasMore = last !== undefined && start + size < found.length;
  return {
    end: start + Math.max(0, shown.length - 1),
    first_page_uri: uriOf(0, null),
    messages: shown.map((message) => toWire(message, accountSid)),
    next_page_uri: hasMore ? uriOf(page + 1, `PA${last.sid}`) : null,
    page,
    page_size: size,
    previous_page_uri: page === 0 ? null : uriOf(page - 1, null),
    start,
    uri: uriOf(page, query.get('PageToken')),
  };
}
