// Two lookups that every text makes, one by one: the session of a pair of numbers, and the context of a session. Timed where
// the client stands and inside the server, where neither the socket nor the driver counts; for somebody who has not texted
// for long, whose pages PostgreSQL has to fetch, and once more for the same person, as somebody who texts again.
import type { Sql } from '../../src/database/pools.ts';

export type Lookups = {
  /**
   * One person as the client sees it, another inside the server: the second of two looks at the same rows costs less. A third one,
   * whose session is a day old at most, the context alone and both ways in turns.
   */
  round(person: string, another: string, recent: string): Promise<void>;
  /** Milliseconds of every lookup so far, by its name. */
  readonly spentMs: ReadonlyMap<string, number[]>;
  /** What was measured so far was a warm-up. */
  forget(): void;
};

const SESSION = (ours: string, theirs: string) => `
  s.id from conversations c join agent_sessions s on s.id = c.session_id
  where (c.channel, c.our_address, c.their_address) = ('sms', ${ours}, ${theirs}) and s.is_active`;

/** `sql` must be a pool of one connection: the functions that time are its own. */
export async function createLookups(sql: Sql, ourNumber: string): Promise<Lookups> {
  const spentMs = new Map<string, number[]>();
  await sql.unsafe(timer('time_session', `perform ${SESSION(`'${ourNumber}'`, 'p_key')}`));
  await sql.unsafe(timer('time_context', 'perform * from conversation_context(p_key::uuid, 10)'));

  function add(name: string, ms: number): void {
    const all = spentMs.get(name);
    if (all === undefined) spentMs.set(name, [ms]);
    else all.push(ms);
  }

  async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    const result = await work();
    add(name, performance.now() - startedMs);
    return result;
  }

  /** `name` is null where the time does not count. */
  async function session(name: string | null, person: string): Promise<string> {
    const look = () => sql.unsafe(`select ${SESSION('$1', '$2')}`, [ourNumber, person], { prepare: true });
    const [row] = await (name === null ? look() : timed(name, look));
    if (row === undefined) throw new Error('A person of the filled database has no session.');
    return row.id;
  }

  let isServersTurn = false;
  return {
    async round(person, another, recent) {
      isServersTurn = !isServersTurn;
      const young = await session(null, recent);
      if (isServersTurn) {
        const [told] = await sql<{ ms: number }[]>`select pg_temp.time_context(${young}) as ms`;
        add('context of a day, server', told!.ms);
      } else {
        await timed('context of a day, client', () => sql`select * from conversation_context(${young}, 10)`);
      }
      for (const when of ['', ' again']) {
        const mine = await session(`session lookup${when}, client`, person);
        await timed(`context${when}, client`, () => sql`select * from conversation_context(${mine}, 10)`);
        const [looked] = await sql<{ ms: number }[]>`select pg_temp.time_session(${another}) as ms`;
        const theirs = await session(null, another);
        const [told] = await sql<{ ms: number }[]>`select pg_temp.time_context(${theirs}) as ms`;
        add(`session lookup${when}, server`, looked!.ms);
        add(`context${when}, server`, told!.ms);
      }
    },
    spentMs,
    forget: () => spentMs.clear(),
  };
}

/** A function that does something with a key and gives the milliseconds that took. */
function timer(name: string, statement: string): string {
  return `create function pg_temp.${name}(p_key text) returns float8 language plpgsql as $$
    declare
      started_at timestamptz := clock_timestamp();
    begin
      ${statement};
      return extract(epoch from clock_timestamp() - started_at) * 1000;
    end $$`;
}
