// The way of an answer's parts: their times on the sender, each try at the carrier, and what it reported.
import { explainErrorCode } from '../channels/twilio/error-codes.ts';
import { meaningOf, type PartRow } from './message.ts';
import { type Draft, type ExchangeRow, lasting, type PathRows, point, wait } from './span.ts';

export function partSpans({ parts, exchanges, carrier }: PathRows): Draft[] {
  return parts.flatMap((part, n) => {
    const way = new PartWay(part, carrier, parts.length === 1 ? '' : ` (${n + 1} of ${parts.length})`);
    return way.spans(exchanges.filter((each) => each.part_id === part.id));
  });
}

const ms = (at: Date | null) => at?.getTime() ?? null;
const REPORTED = new Set(['delivered', 'read', 'undelivered', 'failed']);
const WORDS: Readonly<Record<string, string>> = {
  delivered: 'Delivered',
  read: 'Read',
  undelivered: 'Not delivered',
  failed: 'Failed',
  void: 'Not sent',
};

class PartWay {
  private readonly part: PartRow;
  private readonly carrier: string;
  /** Which of several it is. */
  private readonly suffix: string;

  constructor(part: PartRow, carrier: string, suffix: string) {
    this.part = part;
    this.carrier = carrier;
    this.suffix = suffix;
  }

  spans(calls: readonly ExchangeRow[]): Draft[] {
    const { part } = this;
    const left = calls[0]?.started_at.getTime() ?? ms(part.sending_at) ?? ms(part.ended_at);
    const last = calls.at(-1);
    const free = last ? last.started_at.getTime() + last.duration_ms : (left ?? part.created_at.getTime());
    return [...this.untilSent(left), ...this.tries(calls), ...this.now(calls, free), ...this.carried(calls, free)];
  }

  /** First its reserved time, then what was before it in line. */
  private untilSent(left: number | null): Draft[] {
    const { id, created_at: created, send_at: due } = this.part;
    const from = created.getTime();
    const paced = Math.max(from, left === null ? due.getTime() : Math.min(due.getTime(), left));
    const isPaced = paced - from >= 5;
    const pace = wait({
      id: `pace-${id}`,
      kind: 'pace',
      name: this.named('Paced'),
      from,
      // With its time still to come it goes on; it ends where the time is known to be over.
      to: left === null && isPaced ? null : paced,
      note: `The sender takes so many segments a second: its time came ${lasting(paced - from)} later.`,
    });
    if (left === null && isPaced) return pace;
    const note =
      left === null
        ? 'For the part before it, or a worker.'
        : `${lasting(left - paced)} for the part before it, or a worker.`;
    return [...pace, ...wait({ id: `line-${id}`, name: this.named('Waits in line'), from: paced, to: left, note })];
  }

  private tries(calls: readonly ExchangeRow[]): Draft[] {
    return calls.flatMap((call, n) => {
      const from = call.started_at.getTime();
      const before = calls[n - 1];
      const free = before && before.started_at.getTime() + before.duration_ms;
      const again =
        before === undefined
          ? []
          : wait({
              id: `again-${call.id}`,
              name: this.named(
                before.outcome === 'unknown' ? 'Nobody knew whether it had left' : 'Waits for another try',
              ),
              from: free!,
              to: from,
              note: againNote(before, from - free!, call.attempt - before.attempt),
            });
      return [...again, this.call(call, from)];
    });
  }

  private call(call: ExchangeRow, from: number): Draft {
    const meaning = call.error_code === null ? null : explainErrorCode(call.error_code)?.meaning;
    const answer = call.http_status === null ? 'No answer' : `HTTP ${call.http_status}`;
    return {
      id: call.id,
      kind: 'send',
      name: this.named(`Handed to ${this.carrier}`),
      shape: 'work',
      from,
      to: from + call.duration_ms,
      outcome: ['refused', 'failed'].includes(call.outcome) ? 'failed' : call.outcome === 'unknown' ? 'unknown' : 'ok',
      note: `${answer}: ${[call.error_code ?? call.outcome, meaning].filter(Boolean).join('. ').replace(/\.$/, '')}.`,
      exchange: call,
    };
  }

  /** What goes on with a part that the carrier does not have yet. */
  private now(calls: readonly ExchangeRow[], free: number): Draft[] {
    const { id, state, sending_at: sending } = this.part;
    if (state === 'sending') {
      const from = ms(sending) ?? free;
      return [
        {
          id: `now-${id}`,
          kind: 'send',
          name: this.named(`Being handed to ${this.carrier}`),
          shape: 'work',
          from,
          to: null,
        },
      ];
    }
    const note = 'It is looked up at the carrier, never sent blindly again.';
    if (state === 'unknown')
      return wait({ id: `now-${id}`, name: this.named('Nobody knows whether it left'), from: free, to: null, note });
    if (state === 'queued' && calls.length > 0) {
      const why = againNote(calls.at(-1)!, null);
      return wait({ id: `now-${id}`, name: this.named('Waits for another try'), from: free, to: null, note: why });
    }
    return [];
  }

  /** From the moment the carrier has it. */
  private carried(calls: readonly ExchangeRow[], free: number): Draft[] {
    const { part } = this;
    const [accepted, sent, ended] = [ms(part.accepted_at), ms(part.sent_at), ms(part.ended_at)];
    const spans: Draft[] = [];
    let at = free;
    if (calls.at(-1)?.outcome === 'unknown' && accepted !== null) {
      const note = `${lasting(accepted - free)} later it was found at the carrier, or the carrier reported on it: it had left.`;
      spans.push(
        ...wait({
          id: `settle-${part.id}`,
          kind: 'find',
          name: this.named('Nobody knew whether it had left'),
          from: free,
          to: accepted,
          note,
        }),
      );
      at = Math.max(free, accepted);
    }
    if (sent !== null) {
      spans.push(...this.withCarrier('sent', `With ${this.carrier}`, at, sent), this.report('sent', 'Sent', sent));
      at = Math.max(at, sent);
    }
    if (ended !== null) {
      if (REPORTED.has(part.state) && accepted !== null)
        spans.push(...this.withCarrier('end', 'On its way', at, ended));
      return [...spans, this.report(part.state, WORDS[part.state] ?? part.state, ended)];
    }
    if (part.state !== 'accepted' && part.state !== 'sent') return spans;
    return [...spans, ...this.withCarrier('open', sent === null ? `With ${this.carrier}` : 'On its way', at, null)];
  }

  private withCarrier(what: string, name: string, from: number, to: number | null): Draft[] {
    const note = to === null ? 'The carrier has not reported its end yet.' : 'Not in our hands.';
    return wait({ id: `carrier-${what}-${this.part.id}`, kind: 'carrier', name: this.named(name), from, to, note });
  }

  private report(state: string, name: string, at: number): Draft {
    const isFailed = state === 'failed' || state === 'undelivered';
    const isVoid = state === 'void';
    const why = [this.part.error_code, meaningOf(this.part)].filter(Boolean).join(': ');
    return point({
      id: `${state}-${this.part.id}`,
      kind: isVoid ? 'send' : 'callback',
      name: this.named(name),
      at,
      outcome: isFailed ? 'failed' : isVoid ? 'unknown' : 'ok',
      note: (isFailed || isVoid) && why !== '' ? why : null,
    });
  }

  private named(name: string): string {
    return `${name}${this.suffix}`;
  }
}

/** Why a part was, or will be, tried again. Of an outage's many tries not every one is on record: `tries` have been made since. */
function againNote(before: ExchangeRow, afterMs: number | null, tries = 1): string {
  const later = afterMs === null ? '' : `${lasting(afterMs)} later`;
  const when =
    later === ''
      ? 'it is tried again'
      : tries > 2
        ? `tried ${tries} times more, the last ${later}`
        : `tried again ${later}`;
  if (before.outcome === 'unknown') return `The carrier did not have it: ${when}.`;
  const answer =
    before.http_status === null ? 'The carrier could not be reached' : `${before.http_status} from the carrier`;
  return `${answer}, ${when}.`;
}
