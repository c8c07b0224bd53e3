// Agents that come with the house: the one named in the environment, and the demo agent. They are ordinary rows of the
// registry, marked by metadata.source, so that a start can bring them in line with its configuration.
import type { AgentSettings } from '../config/agent.ts';
import type { Sql } from '../database/pools.ts';
import { newId } from '../ids.ts';
import { assertReachableAddress, checkUrl, parseCidrs } from '../security/egress-rules.ts';
import { hashKey, newApiKey } from '../security/keys.ts';
import type { SecretBox } from '../security/secrets.ts';
import { AGENT_KEY_PREFIX } from './registration.ts';

const SOURCE = 'environment';
/** What stands in metadata.source of a demo agent, whose registration says it. */
export const DEMO_SOURCE = 'demo';

/**
 * Makes the registry say what the environment says: the agent named there is registered or updated, one that is no longer
 * named is deactivated. Throws `invalid_request` or `egress_denied` when its address may not be called.
 */
export async function keepConfiguredAgent(
  deps: { sql: Sql; secretBox: SecretBox; egressAllow: readonly string[] },
  agent: AgentSettings | null,
): Promise<void> {
  const { sql } = deps;
  if (agent === null) {
    await sql`${retire(sql, SOURCE)} and registered_with = 'operator'`;
    return;
  }
  const allow = parseCidrs(deps.egressAllow);
  const url = checkUrl(agent.url, allow);
  await assertReachableAddress(url, allow);
  const metadata = sql.json({ ...agent.metadata, source: SOURCE });
  const secrets = deps.secretBox.seal({ signingSecret: agent.signingSecret ?? '', credential: agent.credential });
  // It never calls us with a key of its own, so nobody is shown the one that the column asks for.
  await sql`
    select keep_configured_agent(${newId()}, ${url.href}, ${agent.protocol}, ${metadata},
      ${hashKey(newApiKey(AGENT_KEY_PREFIX))}, ${secrets})`;
}

/** Without this, a demo agent that no longer runs would be asked first and fail. */
export async function retireDemoAgents(sql: Sql): Promise<void> {
  await retire(sql, DEMO_SOURCE);
}

function retire(sql: Sql, source: string) {
  return sql`
    update agent_registry set status = 'deactivated', deactivated_at = now(), updated_at = now()
    where status <> 'deactivated' and metadata ->> 'source' = ${source}`;
}
