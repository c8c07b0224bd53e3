// Takes a person's text to the customer's webhook: in time, late, twice or out of order; to the fallback URL when the
// first fails; and does what the answer says.
import type { Events } from './events.ts';
import type { Faults, Subject } from './faults.ts';
import type { HistoryRecorder } from './history.ts';
import type { Message } from './message.ts';
import type { Timers } from './timers.ts';
import { readWebhookAnswer, type TwimlMessage } from './twiml.ts';
import type { Fields, PostResult, Webhooks } from './webhooks.ts';

export type InboundParts = {
  readonly events: Events;
  readonly faults: Faults;
  readonly history: HistoryRecorder;
  readonly timers: Timers;
  readonly webhooks: Webhooks;
  readonly webhookUrl: string;
  readonly fallbackUrl: string | null;
  /** Sends what TwiML asked for; returns Twilio's code when it may not. */
  reply(text: Message, message: TwimlMessage): number | null;
};

export type InboundTexts = {
  /** Resolves with the HTTP status of the answer, 0 when there was none; never rejects. */
  post(message: Message, fields: Fields, subject: Subject): Promise<number>;
  setUrls(webhookUrl: string, fallbackUrl: string | null): void;
};

const LATE_MS = 1_000;
const LONGEST_HOLD_MS = 5_000;

export function createInboundTexts(parts: InboundParts): InboundTexts {
  const { events, faults, history, timers, webhooks } = parts;
  let { webhookUrl, fallbackUrl } = parts;
  /** Texts that wait until the next one of their pair is answered. */
  const held = new Map<string, () => void>();

  const postTo = (url: string, name: 'primary' | 'fallback', copy: number, message: Message, fields: Fields) =>
    webhooks.post(url, fields, (attempt) => {
      history.add({ kind: 'webhook', sid: message.sid, url: name, copy, ...attempt });
    });

  /** What it became is told with the event, and kept for whoever looks later. */
  const took = (message: Message, httpStatus: number): void => {
    Object.assign(message.webhook!, { taken: message.webhook!.taken + 1, httpStatus, code: null });
    events.emit('status', message);
  };

  const fail = (message: Message, code: number, httpStatus: number, detail: string): void => {
    Object.assign(message.webhook!, { httpStatus, code });
    events.counts.webhookFailures += 1;
    events.noteProblem(message.sid, code, `webhook: ${detail}`);
    events.emit('status', message, { status: 'failed', errorCode: code, detail });
  };

  /** True when the answer could be carried out. */
  const obey = (message: Message, { status, contentType, body }: PostResult): boolean => {
    const answer = readWebhookAnswer(contentType, body);
    if (answer.kind === 'problem') {
      fail(message, answer.code, status, answer.detail);
      return false;
    }
    for (const reply of answer.messages) {
      const code = parts.reply(message, reply);
      if (code !== null) events.noteProblem(message.sid, code, 'a reply in TwiML was not sent');
    }
    return true;
  };

  const postCopy = async (message: Message, fields: Fields, copy: number): Promise<number> => {
    const primary = webhookUrl;
    const first = await postTo(primary, 'primary', copy, message, fields);
    if (first.problem === null) {
      if (obey(message, first)) took(message, first.status);
      return first.status;
    }
    fail(message, first.code ?? 11_200, first.status, first.problem);
    if (fallbackUrl === null) return first.status;
    const why = { ErrorCode: String(first.code ?? 11_200), ErrorUrl: primary.split('#', 1)[0]! };
    const second = await postTo(fallbackUrl, 'fallback', copy, message, { ...fields, ...why });
    if (second.problem !== null) fail(message, second.code ?? 11_200, second.status, `fallback: ${second.problem}`);
    else if (obey(message, second)) took(message, second.status);
    return second.status;
  };

  /** Every copy carries an idempotency token of its own, as a redelivery from the network would: only MessageSid tells. */
  const postCopies = async (message: Message, fields: Fields, subject: Subject): Promise<number> => {
    const duplicate = faults.take('duplicateWebhooks', subject);
    if (duplicate === null) return postCopy(message, fields, 0);
    const { copies = 1, delayMs = 0 } = duplicate;
    const all = Promise.all(
      Array.from({ length: copies }, async (_, n) => {
        await timers.wait(delayMs);
        return postCopy(message, fields, n + 1);
      }),
    );
    const status = await postCopy(message, fields, 0);
    if (delayMs === 0) await all;
    return status;
  };

  const hold = (pair: string, waitMs: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held.set(pair, resolve);
    return Promise.race([promise, timers.wait(waitMs)]).then(() => {
      if (held.get(pair) === resolve) held.delete(pair);
    });
  };

  return {
    async post(message, fields, subject) {
      const pair = `${message.to}|${message.from}`;
      const before = held.get(pair);
      held.delete(pair);
      const late = faults.take('lateWebhooks', subject);
      const reordered = faults.take('reorderedWebhooks', subject);
      if (late !== null) await timers.wait(late.delayMs ?? LATE_MS);
      if (reordered !== null) await hold(pair, reordered.waitMs ?? LONGEST_HOLD_MS);
      const status = await postCopies(message, fields, subject);
      before?.();
      return status;
    },
    setUrls(url, fallback) {
      webhookUrl = url;
      fallbackUrl = fallback;
    },
  };
}
