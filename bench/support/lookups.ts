// Two lookups that every text makes, one by one: the session of a pair of numbers, and the context of a session. Timed where
// the client stands and inside the server, where neither the socket nor the driver counts.
import type { Sql } from '../../src/database/pools.ts';

export type LookupMs = { readonly client: number[]; readonly server: number[] };

/** Not counted: the first ones plan the statement. */
const WARM_UP = 50;

const SESSION = `
  select s.id from conversations c join agent_sessions s on s.id = c.session_id
  where (c.channel, c.our_address, c.their_address) = ('sms', $1, $2) and s.is_active`;

/** `sql` must be a pool of one connection. */
export async function timeLookups(
  sql: Sql,
  ourNumber: string,
  people: readonly string[],
): Promise<Record<'session' | 'context', LookupMs>> {
  const sessions: string[] = [];
  const session = await timed(people, async (person) => {
    const [row] = await sql.unsafe(SESSION, [ourNumber, person], { prepare: true });
    if (row === undefined) throw new Error('A person of the filled database has no session.');
    sessions.push(row.id);
  });
  const context = await timed(sessions, async (id) => {
    await sql`select * from conversation_context(${id}, 10)`;
  });
  await sql.unsafe(`create or replace function pg_temp.time_sessions(p_ours text, p_theirs text[]) returns setof float8
    language plpgsql as $$
    declare
      theirs text;
      started_at timestamptz;
    begin
      foreach theirs in array p_theirs loop
        started_at := clock_timestamp();
        perform ${SESSION.replace(/^\s*select/, '')
          .replace('$1', 'p_ours')
          .replace('$2', 'theirs')};
        return next extract(epoch from clock_timestamp() - started_at) * 1000;
      end loop;
    end $$`);
  await sql.unsafe(`create or replace function pg_temp.time_contexts(p_sessions uuid[]) returns setof float8
    language plpgsql as $$
    declare
      session uuid;
      started_at timestamptz;
    begin
      foreach session in array p_sessions loop
        started_at := clock_timestamp();
        perform * from conversation_context(session, 10);
        return next extract(epoch from clock_timestamp() - started_at) * 1000;
      end loop;
    end $$`);
  const inServer = async (rows: Promise<readonly { ms: number }[]>) => (await rows).slice(WARM_UP).map(({ ms }) => ms);
  return {
    session: {
      client: session,
      server: await inServer(
        sql<{ ms: number }[]>`select pg_temp.time_sessions(${ourNumber}, ${people as string[]}) as ms`,
      ),
    },
    context: {
      client: context,
      server: await inServer(sql<{ ms: number }[]>`select pg_temp.time_contexts(${sessions}::uuid[]) as ms`),
    },
  };
}

async function timed(keys: readonly string[], work: (key: string) => Promise<void>): Promise<number[]> {
  const spentMs: number[] = [];
  for (const key of keys) {
    const startedMs = performance.now();
    await work(key);
    spentMs.push(performance.now() - startedMs);
  }
  return spentMs.slice(WARM_UP);
}
