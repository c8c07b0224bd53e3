// The bridge's statements: one typed function for each SQL function in database/functions/bridge. The hot ones take a
// batch of items as one JSON parameter, so that one prepared statement serves every batch size.
import type { Handle, Thread } from '../agents/agent.ts';
import type { CarrierState, ChannelKind, Inbound, Media } from '../channels/channel.ts';
import type { Sql } from '../database/pools.ts';
import type { ErrorCode } from '../errors.ts';

const json = (value: unknown) => JSON.stringify(value);

export type ArrivingText = Inbound & { readonly refused: string | null };
export type TakenText = {
  readonly conversationId: string;
  readonly messageId: string;
  readonly refused: string | null;
};

/** Stores texts; null for one that was there already. Durable when it resolves. */
export async function ingestTexts(
  sql: Sql,
  texts: readonly ArrivingText[],
  policy: { quietMs: number; optOutScope: string | null },
): Promise<(TakenText | null)[]> {
  const rows = await sql<{ ord: number; conversation_id: string; message_id: string; refused: string | null }[]>`
    select * from ingest_texts(${json(
      texts.map((text, ord) => ({
        ord,
        channel: text.channel,
        provider_id: text.providerId,
        ours: text.to,
        theirs: text.from,
        body: text.text,
        media: text.media,
        refused: text.refused,
        received_at: text.receivedAt ?? null,
      })),
    )}::text::json, ${policy.quietMs}, ${policy.optOutScope})`;
  const taken: (TakenText | null)[] = texts.map(() => null);
  for (const row of rows) {
    taken[row.ord] = { conversationId: row.conversation_id, messageId: row.message_id, refused: row.refused };
  }
  return taken;
}

export type TurnJob = { readonly conversationId: string; readonly token: number };

/** A turn that has started: everything needed to answer it, fenced by `epoch`. */
export type Turn = {
  readonly conversationId: string;
  readonly turnId: string;
  /** What the agent knows the turn by: the same for the same texts, however often they are asked. */
  readonly requestId: string;
  readonly sessionId: string;
  readonly epoch: number;
  /** Starts of this head so far, this one included; more than a few means that the head itself breaks workers. */
  readonly tries: number;
  /** `api`: nobody's phone; a program asks (src/adapter). */
  readonly channel: ChannelKind | 'api';
  readonly ourAddress: string;
  readonly theirAddress: string;
  /** The session's agent so far. */
  readonly agentId: string | null;
  readonly agentType: string;
  readonly requiredCapabilities: readonly string[];
  readonly maxSegments: number;
  readonly texts: readonly { id: string; body: string; media: readonly Media[] }[];
  /** Texts of a flood that are not in `texts`: they came after the first FIRST_OF_FLOOD and before the others. */
  readonly leftOut: number;
  /** After how long without an answer the person is told to wait (null: not for that alone), and with what words. */
  readonly hold: { readonly ms: number | null; readonly text: string } | null;
  /** Where the session's agent has it in its own memory. */
  readonly thread: Thread | null;
  readonly history: readonly { role: 'user' | 'assistant'; content: string; timestamp: string }[];
};

export type Start =
  | { readonly kind: 'turn'; readonly turn: Turn }
  /** The burst is not over, or the conversation is held; `nowHeld`: from this moment on. */
  | { readonly kind: 'wait'; readonly ms: number; readonly nowHeld: boolean }
  | null;

type StartRow = {
  conversation_id: string;
  wait_ms: number;
  channel: ChannelKind;
  our_address: string;
  their_address: string;
  epoch: number;
  tries: number;
  turn_id: string;
  request_id: string;
  session_id: string;
  agent_id: string | null;
  agent_type: string;
  required_capabilities: string[];
  max_segments: number;
  texts: { id: string; body: string; media: Media[] }[] | null;
  history: Turn['history'];
  left_out: number;
  hold_ms: number | null;
  hold_text: string | null;
  thread: { agent: string; handle: Handle; at: string; missed?: Thread['missed'] } | null;
  now_held: boolean;
};

/** Of a flood the agent is told the first texts, in order to know what it is about, and the newest. */
export const FIRST_OF_FLOOD = 10;

/** Starts turns; null where there is nothing to do (stale token, nothing waiting). */
export async function startTurns(
  sql: Sql,
  jobs: readonly TurnJob[],
  policy: { quietMs: number; maxTexts: number },
): Promise<Start[]> {
  const rows = await sql<StartRow[]>`
    select * from start_turns(
      ${json(jobs.map((job) => ({ c: job.conversationId, t: job.token })))}::text::json,
      ${policy.quietMs}, ${policy.maxTexts})`;
  const byConversation = new Map(rows.map((row) => [row.conversation_id, row]));
  // A stale job may meet its successor in a batch: the turn belongs to the newest token, and to one job only.
  const newest = new Map<string, TurnJob>();
  for (const job of jobs) {
    if (job.token > (newest.get(job.conversationId)?.token ?? -1)) newest.set(job.conversationId, job);
  }
  return jobs.map((job) => {
    const row = newest.get(job.conversationId) === job ? byConversation.get(job.conversationId) : undefined;
    if (!row) return null;
    return row.wait_ms > 0
      ? { kind: 'wait', ms: row.wait_ms, nowHeld: row.now_held }
      : { kind: 'turn', turn: toTurn(row) };
  });
}

function toTurn(row: StartRow): Turn {
  return {
    conversationId: row.conversation_id,
    turnId: row.turn_id,
    requestId: row.request_id,
    sessionId: row.session_id,
    epoch: row.epoch,
    tries: row.tries,
    channel: row.channel,
    ourAddress: row.our_address,
    theirAddress: row.their_address,
    agentId: row.agent_id,
    agentType: row.agent_type,
    requiredCapabilities: row.required_capabilities,
    maxSegments: row.max_segments,
    texts: row.texts ?? [],
    leftOut: row.left_out,
    hold: row.hold_text === null ? null : { ms: row.hold_ms, text: row.hold_text },
    thread: row.thread && {
      agentId: row.thread.agent,
      handle: row.thread.handle,
      missed: row.thread.missed ?? null,
      at: new Date(row.thread.at),
    },
    history: row.history,
  };
}

export type ReplyPart = { readonly text: string; readonly segments: number; readonly media_urls?: readonly string[] };

/** One call to an agent or to the carrier, as `exchanges` keeps it. */
export type Exchange = {
  readonly kind: 'agent' | 'send';
  readonly agent_id: string | null;
  readonly attempt: number;
  readonly target: string;
  readonly http_status: number | null;
  readonly outcome: string;
  readonly error_code: string | null;
  readonly request: string;
  readonly response: string;
  readonly started_at: Date;
  readonly duration_ms: number;
};

/** A session goes from one agent to another: the code of the old one's last call, unhealthy (it was not asked) or gone. */
export type Failover = {
  readonly old_agent: string;
  readonly new_agent: string;
  readonly reason: ErrorCode | 'unhealthy' | 'gone';
};

export type TurnEnd = {
  readonly conversation_id: string;
  readonly turn_id: string;
  readonly session_id: string;
  readonly epoch: number;
  /** interrupted: nothing is answered, the texts wait for a turn with those that came since. */
  readonly state: 'replied' | 'deferred' | 'fell_back' | 'interrupted';
  readonly agent_id: string | null;
  /** The session's agent when the turn began: whoever was chosen since is not overruled. */
  readonly agent_was?: string | null;
  readonly failover?: Failover;
  readonly attempts: number;
  readonly error_code: string | null;
  readonly kind: 'reply' | 'fallback' | null;
  readonly body: string | null;
  readonly parts: readonly ReplyPart[];
  readonly more: string | null;
  readonly end_session: boolean;
  readonly deferred_until: Date | null;
  /** What the agent that answered calls the thread from now on. */
  readonly thread?: { readonly agent: string; readonly handle: Handle };
  readonly exchanges: readonly Exchange[];
};

/** What follows a turn that has ended. */
export type Ended = {
  /** More texts wait already. */
  readonly pending: boolean;
  /** The part that may leave at once; its job follows later, in case the sender dies. */
  readonly sendNow: string | null;
};

/** Commits turns; null where the turn was no longer ours to end. Safe to repeat when the answer got lost. */
export async function finishTurns(
  sql: Sql,
  ends: readonly TurnEnd[],
  policy: { pacing: boolean },
): Promise<(Ended | null)[]> {
  const rows = await sql<{ turn_id: string; pending: boolean; send_now: string | null }[]>`
    select turn_id, pending, send_now from finish_turns(${json(ends)}::text::json, ${policy.pacing})`;
  const byTurn = new Map(rows.map((row) => [row.turn_id, row]));
  return ends.map((end) => {
    const row = byTurn.get(end.turn_id);
    return row ? { pending: row.pending, sendNow: row.send_now } : null;
  });
}

/** Tells the person of a running turn to wait a moment; gives the part to send now, null when they were told or it is over. */
export async function tellToWait(
  sql: Sql,
  turn: Turn,
  notice: { readonly body: string; readonly parts: readonly ReplyPart[] },
  policy: { pacing: boolean },
): Promise<string | null> {
  const [row] = await sql<{ part: string | null }[]>`
    select tell_to_wait(${turn.conversationId}, ${turn.turnId}, ${turn.epoch}, ${notice.body},
      ${json(notice.parts)}::text::json, ${policy.pacing}) as part`;
  return row?.part ?? null;
}

/** Ends this worker's hold on a conversation and queues it again after `delayMs`; false when somebody else has it already. */
export async function giveBack(sql: Sql, job: TurnJob, delayMs: number): Promise<boolean> {
  const [row] = await sql<{ give_back: boolean }[]>`
    select give_back(${job.conversationId}, ${job.token}, ${Math.round(delayMs)})`;
  return row?.give_back ?? false;
}

export type ClaimedPart = {
  readonly part_id: string;
  readonly conversation_id: string;
  readonly channel: ChannelKind;
  readonly our_address: string;
  readonly their_address: string;
  readonly body: string;
  readonly media_urls: string[];
  readonly attempts: number;
  readonly kind: 'reply' | 'fallback' | 'notice' | 'proactive' | 'holding' | 'operator';
  /** How long the part is still worth delivering. */
  readonly valid_seconds: number;
};

/** A part that became void instead of being claimed; `error_reason` is what stood in the way of its last try, if any did. */
export type VoidedPart = {
  readonly part_id: string;
  readonly void_code: 'opted_out' | 'expired';
  readonly error_reason: string | null;
};

/**
 * Takes parts for `poolId` to send, each named once; null for one that must not leave (opted out, expired, sent or on its way
 * already, or its worker died over it). `onVoided` hears of those that were given up here: opted out or expired.
 */
export async function claimParts(
  sql: Sql,
  partIds: readonly string[],
  optOutScope: string | null,
  poolId: string,
  onVoided: (part: VoidedPart) => void = () => {},
): Promise<(ClaimedPart | null)[]> {
  const rows = await sql<((ClaimedPart & { void_code: null }) | VoidedPart)[]>`
    select * from claim_parts(${poolId}, ${partIds as string[]}::uuid[], ${optOutScope})`;
  const byPart = new Map<string, ClaimedPart>();
  for (const row of rows) {
    if (row.void_code === null) byPart.set(row.part_id, row);
    else onVoided(row);
  }
  return partIds.map((id) => byPart.get(id) ?? null);
}

export type SendRecord = {
  readonly part_id: string;
  readonly conversation_id: string;
  /** Which try this is about: news of an older one than the part's newest changes nothing, unless the carrier has it. */
  readonly attempts: number;
  readonly state: 'accepted' | 'queued' | 'failed' | 'unknown';
  readonly provider_id: string | null;
  readonly segments: number | null;
  readonly error_code: string | null;
  readonly error_reason: string | null;
  /** When the next try (`queued`) or the next look (`unknown`) is due. */
  readonly run_at_ms: number | null;
  readonly opted_out: boolean;
  readonly exchanges: readonly Exchange[];
};

/** A record in which nothing is known yet of a part but whose it is. */
export function blankRecord(
  partId: string,
  { conversation_id, attempts }: Pick<SendRecord, 'conversation_id' | 'attempts'>,
): Omit<SendRecord, 'state'> {
  return {
    part_id: partId,
    conversation_id,
    attempts,
    provider_id: null,
    segments: null,
    error_code: null,
    error_reason: null,
    run_at_ms: null,
    opted_out: false,
    exchanges: [],
  };
}

export async function recordSends(sql: Sql, records: readonly SendRecord[], optOutScope: string | null): Promise<void> {
  await sql`select record_sends(${json(records)}::text::json, ${optOutScope})`;
}

export type PartStatus = {
  readonly part_id: string;
  readonly provider_id: string;
  readonly state: CarrierState;
  readonly error_code: string | null;
  readonly opted_out: boolean;
};

export type StatusOutcome = 'moved' | 'ignored' | 'unknown_part';

export async function applyStatuses(
  sql: Sql,
  statuses: readonly PartStatus[],
  optOutScope: string | null,
): Promise<StatusOutcome[]> {
  const rows = await sql<{ part_id: string; outcome: StatusOutcome }[]>`
    select * from apply_statuses(${json(statuses)}::text::json, ${optOutScope})`;
  const byPart = new Map(rows.map((row) => [row.part_id, row.outcome]));
  return statuses.map((status) => byPart.get(status.part_id) ?? 'unknown_part');
}

export type UnknownPart = {
  readonly conversation_id: string;
  readonly channel: ChannelKind;
  readonly our_address: string;
  readonly their_address: string;
  readonly body: string;
  readonly attempts: number;
  readonly sending_at: Date;
  /** The database's time. */
  readonly now: Date;
  readonly age_ms: number;
  /** It would not be sent any more, wherever it is. */
  readonly is_worthless: boolean;
  /** Provider ids of this conversation's other parts: taken. */
  readonly known_ids: string[];
  /** What else of this conversation may be at the carrier without our knowing its id. */
  readonly other_bodies: string[];
};

/** A part whose send nobody knows the end of; null once it is settled. */
export async function findUnknownPart(sql: Sql, partId: string): Promise<UnknownPart | null> {
  const [row] = await sql<UnknownPart[]>`
    select p.conversation_id, c.channel, c.our_address, c.their_address, p.body, p.attempts, p.sending_at,
      clock_timestamp() as now, (extract(epoch from clock_timestamp() - p.sending_at) * 1000)::float8 as age_ms,
      p.created_at + worth_sending(p.kind) <= clock_timestamp() as is_worthless,
      array(select o.provider_id from outbound_parts o
        where o.conversation_id = p.conversation_id and o.position > p.position - 100 and o.provider_id is not null) as known_ids,
      array(select o.body from outbound_parts o
        where o.conversation_id = p.conversation_id and o.position > p.position - 100 and o.id <> p.id
          and o.provider_id is null and o.state in ('sending', 'unknown')) as other_bodies
    from outbound_parts p join conversations c on c.id = p.conversation_id
    where p.id = ${partId} and p.state = 'unknown'`;
  return row ?? null;
}
