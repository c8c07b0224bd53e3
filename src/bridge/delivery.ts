// What the carrier reports on parts it has. Batched like everything else: a busy number brings three callbacks a part.
import type { CarrierState, StatusReport } from '../channels/channel.ts';
import { isItemFault } from '../database/faults.ts';
import { microBatch } from '../database/micro-batch.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { applyStatuses, type PartStatus, type StatusOutcome } from './store.ts';

export type Delivery = {
  /** Resolves when the report is stored, or turned out to change nothing. */
  apply(report: StatusReport): Promise<StatusOutcome>;
};

/**
 * The carrier does not mind waiting, and a batch costs the database hardly more than one report: `sent` and `delivered` of
 * one part often ride together and become one update.
 */
const LINGER_MS = 15;
/** Twilio: the recipient has opted out. */
const OPTED_OUT = '21610';
/** What did not arrive has a reason, also where the carrier gives none: lists of failures go by it. */
const FAILED: ReadonlySet<CarrierState> = new Set(['failed', 'undelivered']);

export function createDelivery(deps: { readonly sql: Sql; readonly optOutScope: string | null }): Delivery {
  const batch = microBatch<PartStatus, StatusOutcome>({
    maxSize: 256,
    flights: 1,
    lingerMs: LINGER_MS,
    maxWaiting: 50_000,
    flush: (statuses) => applyStatuses(deps.sql, statuses, deps.optOutScope),
    isItemFault,
    refuse: () => new DarkspereError('storage_unavailable'),
  });
  return {
    async apply(report) {
      // Every part is sent with its id in the callback address: a report without one is on a message we did not send.
      if (report.partId === null) return 'unknown_part';
      return batch.add({
        part_id: report.partId,
        provider_id: report.providerId,
        state: report.state,
        error_code: report.errorCode ?? (FAILED.has(report.state) ? 'no_reason_given' : null),
        opted_out: report.errorCode === OPTED_OUT,
      });
    },
  };
}
