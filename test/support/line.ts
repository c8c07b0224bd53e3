// One of our numbers with agents and people of its own: what one test needs of a world.
import type { Person } from '../../src/channels/simulator/person.ts';
import type { Simulator } from '../../src/channels/simulator/simulator.ts';
import type { Sql } from '../../src/database/pools.ts';
import type { AgentOptions, Behaviour, ScriptedAgent } from './scripted-agent.ts';
import { until } from './until.ts';

/** How the number behaves: columns of phone_numbers. */
export type LineSettings = {
  readonly agent_type?: string;
  readonly quiet_ms?: number;
  readonly max_segments?: number;
  readonly session_idle?: string;
  readonly segments_per_second?: number;
  readonly required_capabilities?: string[];
  readonly busy_policy?: string;
  readonly hold_ms?: number;
  readonly hold_text?: string;
};

type Address = Pick<Person, 'phone'> | string;

export type Line = Awaited<ReturnType<typeof openLine>>;

export type LineParts = {
  readonly sql: Sql;
  readonly simulator: Simulator;
  newPhone(): string;
  agent(behaviour: Behaviour, options: AgentOptions): Promise<ScriptedAgent>;
};

/** States in which nothing more happens to a part by itself. */
const ENDED = ['delivered', 'read', 'failed', 'undelivered', 'void'];

/** Makes a number behave as the test wants, answered by agents of a type of its own. */
export async function openLine(parts: LineParts, number: string, settings: LineSettings = {}) {
  const { sql, simulator } = parts;
  const columns = { agent_type: `type-${number}`, ...settings };
  await sql`update phone_numbers set ${sql(columns)} where address = ${number}`;
  const conversation = (whose: Address) =>
    until(
      async () => {
        const their = typeof whose === 'string' ? whose : whose.phone;
        const [row] = await sql`select * from conversations where (our_address, their_address) = (${number}, ${their})`;
        return row;
      },
      { what: 'a conversation' },
    );
  const hasWork = async (id: string): Promise<boolean> => {
    const [row] = await sql<{ busy: boolean }[]>`
      select c.last_seq > c.done_seq or c.running_turn is not null
        or exists (select 1 from outbound_parts p where p.conversation_id = c.id and p.state <> all (${ENDED}))
        or exists (select 1 from graphile_worker._private_jobs j where j.payload ->> 'c' = c.id::text) as busy
      from conversations c where c.id = ${id}`;
    return row!.busy;
  };

  return {
    number,
    type: columns.agent_type,
    agent: (behaviour: Behaviour, more: AgentOptions = {}) =>
      parts.agent(behaviour, { type: columns.agent_type, ...more }),
    /** Somebody new, who texts this line. */
    person(phone = parts.newPhone()): Person {
      const person = simulator.person(phone);
      return { ...person, text: (body, more) => person.text(body, { to: number, ...more }) };
    },
    /** The conversation's row, as soon as there is one. */
    conversation,
    /** Lets a hold of a conversation that went round too fast, and the half minute before it, be over. */
    async letHoldPass(whose: Address): Promise<void> {
      const { id } = await conversation(whose);
      await sql`
        update conversations set held_until = clock_timestamp(),
          answered_at = array(select t - interval '31 seconds' from unnest(answered_at) with ordinality u (t, n) order by n)
        where id = ${id}`;
      await sql`update graphile_worker._private_jobs set run_at = clock_timestamp() where payload ->> 'c' = ${id}`;
    },
    /** Everything that was stored of a conversation, once nothing waits and nothing is under way: counts are final. */
    async story(whose: Address) {
      const { id } = await conversation(whose);
      await until(async () => !(await hasWork(id)), {
        what: 'the end of all work on a conversation',
        timeoutMs: 30_000,
      });
      const of = (table: string) => sql`select * from ${sql(table)} where conversation_id = ${id} order by id`;
      const [messages, turns, parts, exchanges, sessions] = await Promise.all(
        ['messages', 'turns', 'outbound_parts', 'exchanges', 'agent_sessions'].map(of),
      );
      return {
        conversation: await conversation(whose),
        messages: messages!,
        turns: turns!,
        parts: parts!,
        exchanges: exchanges!,
        sessions: sessions!,
      };
    },
  };
}
