// The agent that a program names.
import type { Agent } from '../agents/agent.ts';
import type { Registry } from '../agents/registry.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';

/** An agent that may be asked, one that has just registered too. Throws not_found (`agent_id`) for one that is not there or is disabled. */
export async function findAgent(deps: { readonly sql: Sql; readonly registry: Registry }, id: string): Promise<Agent> {
  const { sql, registry } = deps;
  const found = await registry.findFresh(id);
  if (found !== null) return found;
  const [off] = await sql`
    select from agent_registry where id = ${id} and disabled_at is not null and status <> 'deactivated'`;
  throw new DarkspereError(
    'not_found',
    off
      ? 'agent_id: this agent is disabled; an operator enables it: `npx darkspere agents enable`.'
      : 'agent_id: there is no agent with this id, or it has left.',
    { param: 'agent_id' },
  );
}
