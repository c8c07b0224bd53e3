// The bridge's statements by hand: what a gateway and its workers do to the database, step by step and in any order,
// without agents, carrier or jobs.
import { createConsent } from '../../src/bridge/consent.ts';
import {
  applyStatuses,
  blankRecord,
  type ClaimedPart,
  claimParts,
  finishTurns,
  ingestTexts,
  recordSends,
  type SendRecord,
  startTurns,
  type Turn,
  type TurnEnd,
} from '../../src/bridge/store.ts';
import type { CarrierState, Inbound } from '../../src/channels/channel.ts';
import type { TestDatabase } from './database.ts';
import { newSid } from './signed-webhook.ts';

export const OURS = '+15550001111';

let people = 0;
/** A phone number that nobody has used. */
export const somebody = () => `+1555030${String(people++).padStart(4, '0')}`;

export function inbound(from: string, text: string, more: Partial<Inbound> = {}): Inbound {
  return {
    channel: 'sms',
    providerId: newSid(),
    from,
    to: OURS,
    text,
    media: [],
    optOutHandled: null,
    ...more,
  };
}

export type PartRow = {
  id: string;
  position: number;
  kind: string;
  body: string;
  message_id: string;
  segments: number;
  state: string;
  attempts: number;
  send_at: Date;
  provider_id: string | null;
  error_code: string | null;
  error_reason: string | null;
};

export type Bridge = ReturnType<typeof bridgeOf>;

export type BridgeOptions = {
  readonly pacing?: boolean;
  readonly lastSendsMs?: number;
  readonly optOutScope?: string | null;
};

/** The steps on one database. `pacing` is what every statement that queues parts is told. */
export function bridgeOf(
  db: TestDatabase,
  { pacing = false, lastSendsMs = 400, optOutScope = null }: BridgeOptions = {},
) {
  const { web, worker } = db.pools;
  const choosing = () => ({ isOffered: false, words: {} });
  const consent = createConsent({ sql: web, optOutScope, pacing, maxSegments: 10, choosing, lastSendsMs });

  const bridge = {
    /** Stores a text; null for one that is already there. */
    arrive: async (from: string, text: string, more: Partial<Inbound> = {}) => {
      const [taken] = await ingestTexts(web, [{ ...inbound(from, text, more), refused: null }], {
        quietMs: 0,
        optOutScope: null,
      });
      return taken ?? null;
    },
    /** A keyword as the gateway handles it; false when it is none. */
    keyword: (from: string, text: string, more: Partial<Inbound> = {}) => consent.handle(inbound(from, text, more)),
    /** Starts a turn as the job with the current token would; null when nothing waits, or when one ran: its texts have a new token. */
    async start(conversationId: string): Promise<Turn | null> {
      const [row] = await db.admin<{ token: number }[]>`select token from conversations where id = ${conversationId}`;
      const [start] = await startTurns(worker, [{ conversationId, token: row!.token }], { quietMs: 0, maxTexts: 50 });
      return start?.kind === 'turn' ? start.turn : null;
    },
    finish: async (ends: readonly TurnEnd[]) => finishTurns(worker, ends, { pacing }),
    claim: (ids: readonly string[]): Promise<(ClaimedPart | null)[]> =>
      claimParts(worker, ids, null, 'a pool that is gone'),
    record: (records: readonly SendRecord[]) => recordSends(worker, records, null),
    status: (
      reports: readonly { part: string; sid: string; state: CarrierState; errorCode?: string; optedOut?: boolean }[],
    ) =>
      applyStatuses(
        web,
        reports.map(({ part, sid, state, errorCode = null, optedOut = false }) => ({
          part_id: part,
          provider_id: sid,
          state,
          error_code: errorCode,
          opted_out: optedOut,
        })),
        null,
      ),
    parts: (conversationId: string): Promise<PartRow[]> =>
      db.admin<PartRow[]>`select * from outbound_parts where conversation_id = ${conversationId} order by position`,
    /** The parts of a conversation, claimed a day after they were made: they are given up. */
    async expire(conversationId: string): Promise<void> {
      await db.admin`
        update outbound_parts set created_at = created_at - interval '1 day' where conversation_id = ${conversationId}`;
      await bridge.claim((await bridge.parts(conversationId)).map(({ id }) => id));
      await db.admin`
        update outbound_parts set created_at = created_at + interval '1 day' where conversation_id = ${conversationId}`;
    },
    /** When each part's send job is due; parts that may not leave yet have none. */
    async sendJobs(): Promise<Map<string, Date>> {
      const jobs = await db.admin<{ part: string; run_at: Date }[]>`
        select substr(key, 6) as part, run_at from graphile_worker.jobs where key like 'send:%'`;
      return new Map(jobs.map((job) => [job.part, job.run_at]));
    },
    /** A text and its answer in as many parts as there are bodies; gives the conversation. */
    async answered(from: string, bodies: readonly string[]): Promise<string> {
      const taken = await bridge.arrive(from, 'hello');
      const turn = await bridge.start(taken!.conversationId);
      const [end] = await bridge.finish([reply(turn!, bodies)]);
      if (!end) throw new Error('The turn was not ours to end.');
      return taken!.conversationId;
    },
  };
  return bridge;
}

/** A turn's end with these parts. */
export function reply(turn: Turn, bodies: readonly string[], segments = 1): TurnEnd {
  return {
    conversation_id: turn.conversationId,
    turn_id: turn.turnId,
    session_id: turn.sessionId,
    epoch: turn.epoch,
    state: 'replied',
    agent_id: null,
    attempts: 1,
    error_code: null,
    kind: 'reply',
    body: bodies.join(''),
    parts: bodies.map((text) => ({ text, segments })),
    more: null,
    end_session: false,
    deferred_until: null,
    exchanges: [],
  };
}

/** What the worker writes down after the carrier has said something about a part. */
export function sendRecord(
  part: Pick<ClaimedPart, 'part_id' | 'conversation_id'> & { attempts?: number },
  result: Partial<SendRecord> & Pick<SendRecord, 'state'>,
): SendRecord {
  const { part_id: id, conversation_id, attempts = 1 } = part;
  return { ...blankRecord(id, { conversation_id, attempts }), ...result };
}
