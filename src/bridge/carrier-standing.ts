// How the carrier takes our texts right now, as this process sees it. In an outage every part says the same every minute or
// two: one line of the log says when it began, one when it is over, and /ready and the metrics what it is meanwhile.
import type { SendOutcome } from '../channels/channel.ts';
import { now } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';

type Refused = Extract<SendOutcome, { kind: 'refused' }>;
type Trouble = Refused & { readonly hindrance: NonNullable<Refused['hindrance']> };

export type CarrierStanding = {
  /** Hears how a send ended. True when that was said already: the carrier is in the trouble that it was in before. */
  heard(outcome: SendOutcome): boolean;
  /** What an operator should know, one sentence each; empty when the last text was taken or refused for itself. */
  notes(): string[];
};

const HINDRANCES = ['unreachable', 'busy', 'setup'] as const satisfies readonly Trouble['hindrance'][];

export function createCarrierStanding({
  logger,
  metrics,
}: {
  logger: Logger;
  metrics: Pick<Metrics, 'carrierTrouble'>;
}): CarrierStanding {
  let trouble: Trouble | null = null;
  let at = now();

  function show(next: Trouble | null): void {
    trouble = next;
    for (const kind of HINDRANCES) metrics.carrierTrouble.set({ kind }, next?.hindrance === kind ? 1 : 0);
  }
  show(null);

  return {
    heard(outcome) {
      // Held back by ourselves, or of unknown end: that says nothing of the carrier.
      if (outcome.kind === 'withheld' || outcome.kind === 'unknown') return false;
      if (!isTrouble(outcome)) {
        if (trouble) logger.info({ source: 'carrier', code: trouble.code }, 'the carrier takes texts again');
        if (trouble) show(null);
        return false;
      }
      at = now();
      const isKnown = trouble?.hindrance === outcome.hindrance && trouble.code === outcome.code;
      if (!isKnown) {
        const facts = { source: 'carrier', code: outcome.code, reason: outcome.reason };
        if (outcome.hindrance === 'setup')
          logger.error(facts, 'the carrier refuses every text until this is put right');
        else if (outcome.hindrance === 'unreachable') logger.warn(facts, 'the carrier cannot be reached');
        else logger.warn(facts, 'the carrier asks to send later');
      }
      show(outcome);
      return isKnown;
    },
    notes: () => (trouble ? [`${WORDS[trouble.hindrance]} (${trouble.code}), last at ${at.toISOString()}`] : []),
  };
}

const WORDS: Readonly<Record<Trouble['hindrance'], string>> = {
  unreachable: 'the carrier could not be reached',
  busy: 'the carrier asked to send later',
  setup: 'the carrier refuses every text until its account or address is put right',
};

function isTrouble(outcome: SendOutcome): outcome is Trouble {
  return outcome.kind === 'refused' && outcome.hindrance !== null;
}
