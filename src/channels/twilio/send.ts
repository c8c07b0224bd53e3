// Creating a message at Twilio is not idempotent and has no key to make it so. Everything here serves one distinction:
// surely not accepted (may be sent again) or nobody knows (must not be).
import { now } from '../../clock.ts';
import type { CallRecord, Part, SendOutcome } from '../channel.ts';
import { wireAddress } from './address.ts';
import { type Answer, call, WITHHELD } from './call.ts';
import type { Carrier } from './carrier.ts';
import { firstBytes } from './cut.ts';
import { explainErrorCode } from './error-codes.ts';
import { MESSAGE_SID } from './inbound.ts';

const STATUS_PATH = '/webhooks/twilio/status';

const MAX_ANSWER = 64 * 1024;
/** Twilio's own bounds, seconds. */
const VALIDITY = { least: 1, most: 36_000 };
const RETRY_AFTER = { leastMs: 1_000, mostMs: 60_000 };
/** Something between us is wrongly set up, or the account is: no text is to blame, and an operator has to act. */
const SETUP_MS = 60_000;

/** One attempt to hand a part to Twilio. Never throws, never repeats. */
export async function sendPart(
  carrier: Carrier,
  part: Part,
  signal: AbortSignal,
  mayLeave?: () => boolean,
): Promise<{ outcome: SendOutcome; call: CallRecord }> {
  const startedAt = now();
  const start = performance.now();
  const form = messageForm(part, carrier.messagingServiceSid, part.mediaUrls);
  form.append('StatusCallback', `${carrier.publicUrl}${STATUS_PATH}?part=${part.id}`);
  const request = {
    method: 'POST',
    url: carrier.messagesUrl,
    headers: { ...carrier.headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
    maxBytes: MAX_ANSWER,
  } as const;
  const answer = await call(carrier.http, request, carrier.timeouts, signal, mayLeave);
  return {
    outcome: outcomeOf(answer),
    call: {
      target: carrier.messagesUrl.href,
      status: answer.status,
      request: recordedForm(part, carrier.messagingServiceSid),
      response: firstBytes(answer.body),
      startedAt,
      durationMs: performance.now() - start,
    },
  };
}

// From beside MessagingServiceSid pins the sender: the person's texts and our answers stay on one number.
function messageForm(part: Part, service: string | null, mediaUrls: readonly string[]): URLSearchParams {
  const form = new URLSearchParams();
  form.append('To', wireAddress(part.channel, part.to));
  form.append('From', wireAddress(part.channel, part.from));
  if (service !== null) form.append('MessagingServiceSid', service);
  if (part.text !== '') form.append('Body', part.text);
  for (const url of mediaUrls) form.append('MediaUrl', url);
  const seconds = Math.min(VALIDITY.most, Math.max(VALIDITY.least, Math.ceil(part.validitySeconds)));
  form.append('ValidityPeriod', String(seconds));
  return form;
}

// Media links may carry a signature in their query and PUBLIC_URL a password; neither belongs in a record.
function recordedForm(part: Part, service: string | null): string {
  const form = messageForm(part, service, part.mediaUrls.map(withoutSecrets));
  form.append('StatusCallback', `${STATUS_PATH}?part=${part.id}`);
  return form.toString();
}

function withoutSecrets(link: string): string {
  const url = URL.parse(link);
  return url === null ? '' : url.origin + url.pathname;
}

/** What an answer, or the lack of one, says about the message. Pure. */
function outcomeOf(answer: Answer): SendOutcome {
  const { status } = answer;
  if (answer.failure === WITHHELD) return { kind: 'withheld' };
  if (status === null) return answer.left ? lost(answer) : notSent(answer);
  if (status >= 200 && status < 300) return acceptance(answer);
  // 408 is what a proxy says when it gave up waiting, which may be after it had passed the request on.
  if (status >= 500 || status === 408) return { kind: 'unknown', reason: `Twilio answered HTTP ${status}.` };
  return refusal(answer, status);
}

function lost({ failure }: Answer): SendOutcome {
  return { kind: 'unknown', reason: `The request left and no answer came (${failure}).` };
}

function notSent({ failure }: Answer): SendOutcome {
  const reason = `The request did not leave (${failure}).`;
  return {
    kind: 'refused',
    code: failure ?? 'not_sent',
    reason,
    retry: 'later',
    afterMs: null,
    optedOut: false,
    hindrance: 'unreachable',
  };
}

function acceptance(answer: Answer): SendOutcome {
  const { sid, num_segments: segments } = jsonObject(answer);
  if (typeof sid !== 'string' || !MESSAGE_SID.test(sid)) {
    return { kind: 'unknown', reason: `Twilio answered HTTP ${answer.status} without a message SID.` };
  }
  // '0' while a messaging service has not chosen the sender yet.
  const count = /^\d{1,3}$/.test(String(segments)) ? Number(segments) : 0;
  return { kind: 'accepted', providerId: sid, segments: count > 0 ? count : null };
}

function refusal(answer: Answer, status: number): SendOutcome {
  const stated = jsonObject(answer).code;
  const code = Number.isSafeInteger(stated) ? String(stated) : null;
  if (status === 429) return tooMany(answer, code ?? '20429');
  if (code === null) {
    const reason = `HTTP ${status} without an error code of Twilio's.`;
    return {
      kind: 'refused',
      code: `http_${status}`,
      reason,
      retry: 'later',
      afterMs: SETUP_MS,
      optedOut: false,
      hindrance: 'setup',
    };
  }
  const facts = explainErrorCode(code);
  if (facts?.action === 'amb') return { kind: 'unknown', reason: facts.meaning };
  // What is wrong with a text is 400. These are about who asks (an account that is suspended, closed or not found), whatever their code.
  const isAccount = [401, 403, 404].includes(status) && facts?.action !== 'no';
  const afterMs = facts?.afterMs ?? (isAccount ? SETUP_MS : null);
  return {
    kind: 'refused',
    code,
    reason: facts?.meaning ?? `Twilio refused the message with code ${code}.`,
    retry: afterMs === null ? 'never' : 'later',
    afterMs,
    optedOut: facts?.optedOut ?? false,
    hindrance: afterMs === null ? null : isAccount || facts?.action === 'cfg' ? 'setup' : 'busy',
  };
}

function tooMany(answer: Answer, code: string): SendOutcome {
  const facts = explainErrorCode(code);
  return {
    kind: 'refused',
    code,
    reason: facts?.meaning ?? 'Too many requests to Twilio.',
    retry: 'later',
    afterMs: retryAfterMs(answer.retryAfter) ?? RETRY_AFTER.leastMs,
    optedOut: false,
    hindrance: 'busy',
  };
}

/** Retry-After in its two forms, seconds or a date, held between 1 and 60 s: a carrier's typo must not park a conversation. */
function retryAfterMs(header: string | null): number | null {
  if (header === null) return null;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now().getTime();
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER.mostMs, Math.max(RETRY_AFTER.leastMs, ms));
}

function jsonObject({ body, failure }: Answer): Record<string, unknown> {
  if (failure !== null) return {};
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
