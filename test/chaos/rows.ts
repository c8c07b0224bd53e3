// What the database says at the end of a run: the checker compares it with what was seen from outside.
import type { Sql } from '../../src/database/pools.ts';

export type Rows = {
  readonly conversations: readonly {
    readonly id: string;
    readonly their_address: string;
    readonly last_seq: number;
    readonly done_seq: number;
    readonly running_turn: string | null;
  }[];
  readonly messages: readonly {
    readonly id: string;
    readonly conversation_id: string;
    readonly direction: 'in' | 'out';
    readonly kind: string;
    readonly seq: number | null;
    readonly body: string;
    readonly provider_id: string | null;
    readonly refused: string | null;
  }[];
  readonly turns: readonly {
    readonly id: string;
    readonly conversation_id: string;
    readonly from_seq: number;
    readonly to_seq: number;
    readonly state: string;
    readonly error_code: string | null;
    readonly reply_id: string | null;
    readonly ended_at: Date | null;
  }[];
  readonly parts: readonly {
    readonly id: string;
    readonly conversation_id: string;
    readonly message_id: string;
    readonly position: number;
    readonly kind: string;
    readonly body: string;
    readonly state: string;
    readonly provider_id: string | null;
    readonly error_code: string | null;
    readonly sending_at: Date | null;
  }[];
  /** Tries of parts, as the workers that made them wrote them down. */
  readonly tries: readonly { readonly part_id: string; readonly attempt: number; readonly started_at: Date }[];
  /** Jobs of texts and parts that are still to be done. */
  readonly jobs: readonly {
    readonly task: string;
    readonly key: string | null;
    /** How it stands: due when, locked since when, how many tries, what went wrong. */
    readonly state: string;
  }[];
};

/** Jobs without which a text or a part would be forgotten; the others are housekeeping, which never ends. */
const PATH_JOBS = ['turn', 'send', 'settle'];

/**
 * The jobs that have something to do. A job whose key was taken over while a worker had it is out of attempts: that worker's
 * death leaves a row that nothing ever runs. A turn job with an old token finds nothing, whenever it comes (a STOP during a
 * hold leaves one).
 */
export const openJobs = (sql: Sql) => sql`
  select t.identifier as task, j.key, j.id::text, concat_ws(' ', 'due', j.run_at - now(), 'locked', now() - j.locked_at, 'by',
      j.locked_by, 'tries', j.attempts, j.last_error) as state
  from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
  where t.identifier = any (${PATH_JOBS}) and j.attempts < j.max_attempts
    and (t.identifier <> 'turn' or exists (
      select 1 from conversations c
      where c.id::text = j.payload ->> 'c' and c.token = (j.payload ->> 't')::int and c.last_seq > c.done_seq))`;

export async function readRows(sql: Sql): Promise<Rows> {
  const [conversations, messages, turns, parts, tries, jobs] = await Promise.all([
    sql`select id, their_address, last_seq, done_seq, running_turn from conversations order by id`,
    sql`select id, conversation_id, direction, kind, seq, body, provider_id, refused from messages order by id`,
    sql`select id, conversation_id, from_seq, to_seq, state, error_code, reply_id, ended_at from turns order by id`,
    sql`select id, conversation_id, message_id, position, kind, body, state, provider_id, error_code, sending_at
        from outbound_parts order by id`,
    sql`select part_id, attempt, started_at from exchanges where kind = 'send' order by part_id, attempt`,
    openJobs(sql),
  ]);
  return { conversations, messages, turns, parts, tries, jobs } as unknown as Rows;
}
