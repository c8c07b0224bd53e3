// failover_session_to_healthy_agent: what operators call by hand, and that it chooses as the bridge does.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Agent, AgentStatus, Circuit } from '../../src/agents/agent.ts';
import { WELL } from '../../src/agents/health.ts';
import { chooseAgent, isHealthy } from '../../src/agents/routing.ts';
import { newId } from '../../src/ids.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { runs } from '../support/property.ts';

const OURS = '+15550001111';

describe('failing a session over by hand', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase({ web: 1, worker: 1, admin: 1 });
    await db.admin`
      insert into phone_numbers (address, agent_type, required_capabilities) values (${OURS}, 'chat', '{x}')`;
  });
  after(() => db.drop());

  const failover = async (session: string) =>
    (await db.pools.admin`select * from failover_session_to_healthy_agent(${session})`).map((row) => ({ ...row }));

  async function agent(more: Record<string, unknown> = {}): Promise<string> {
    const row = {
      name: 'a',
      endpoint_url: 'http://a',
      api_key_hash: Buffer.from(newId()),
      secrets: Buffer.from(''),
      capabilities: ['x'],
      ...more,
    };
    const [added] = await db.admin<{ id: string }[]>`insert into agent_registry ${db.admin(row)} returning id`;
    return added!.id;
  }

  async function session(agentId: string | null, more: Record<string, unknown> = {}): Promise<string> {
    const [conversation] = await db.admin<{ id: string }[]>`
      insert into conversations (channel, our_address, their_address, contact_id)
      values ('sms', ${OURS}, ${newId()}, ${newId()}) returning id`;
    const row = { conversation_id: conversation!.id, agent_id: agentId, history_from: newId(), ...more };
    const [added] = await db.admin<{ id: string }[]>`insert into agent_sessions ${db.admin(row)} returning id`;
    await db.admin`update conversations set session_id = ${added!.id} where id = ${conversation!.id}`;
    return added!.id;
  }

  test('says the old agent, the new one and why; the history stays, and the move is recorded', async () => {
    const dead = await agent({ status: 'disabled', health_score: 40 });
    const well = await agent({ health_score: 90 });
    const mine = await session(dead);
    const [before] = await db.admin`select history_from from agent_sessions where id = ${mine}`;
    assert.deepEqual(await failover(mine), [{ old_agent: dead, new_agent: well, reason: 'unhealthy' }]);
    const [row] = await db.admin`select agent_id, failovers, history_from from agent_sessions where id = ${mine}`;
    assert.deepEqual({ ...row }, { agent_id: well, failovers: 1, history_from: before!.history_from });
    const moves = await db.admin`select old_agent, new_agent, reason from session_failovers where session_id = ${mine}`;
    assert.deepEqual(
      moves.map((move) => ({ ...move })),
      [{ old_agent: dead, new_agent: well, reason: 'unhealthy' }],
    );
    // Nobody else is there: nothing changes, and it says so.
    assert.deepEqual(await failover(mine), [{ old_agent: well, new_agent: null, reason: 'no_healthy_agent' }]);
    await db.admin`update agent_registry set status = 'deactivated'`;
    const other = await agent();
    assert.deepEqual(await failover(mine), [{ old_agent: well, new_agent: other, reason: 'gone' }]);
    await db.admin`update agent_sessions set is_active = false where id = ${mine}`;
    assert.deepEqual(await failover(mine), []);
    assert.deepEqual(await failover(newId()), []);
    await db.admin`update agent_registry set status = 'deactivated'`;
  });

  test('an agent of another type, without the capabilities, full, cooling or with an open circuit is passed over', async () => {
    const mine = await session(null);
    await agent({ type: 'other' });
    await agent({ capabilities: [] });
    await agent({ circuit: 'open' });
    await agent({ health_score: 69 });
    await agent({ cooling_until: new Date(Date.now() + 60_000) });
    assert.deepEqual(await failover(mine), [{ old_agent: null, new_agent: null, reason: 'no_healthy_agent' }]);
    const full = await agent({ max_concurrent_sessions: 1 });
    await db.admin`
      insert into agent_slots (agent_id, pool_id, slots, in_use, valid_until)
      values (${full}, 'p', 1, 1, clock_timestamp() + interval '1 minute')`;
    const free = await agent({ health_score: 70 });
    assert.equal((await failover(mine))[0]!.new_agent, free);
    // The person has chosen another type: there it stays, and what the number asks of its own agents does not count.
    const [chosen] = await db.admin<{ id: string }[]>`select id from agent_registry where type = 'other'`;
    const theirs = await session(free, { agent_type: 'other' });
    await db.admin`update agent_registry set capabilities = '{}' where id = ${chosen!.id}`;
    assert.equal((await failover(theirs))[0]!.new_agent, chosen!.id);
    await db.admin`update agent_registry set status = 'deactivated'`;
  });

  const anyAgent = fc.record({
    type: fc.constantFrom('chat', 'chat', 'other'),
    status: fc.constantFrom<AgentStatus>('active', 'active', 'degraded', 'disabled'),
    circuit: fc.constantFrom<Circuit>('closed', 'closed', 'open', 'half_open'),
    healthScore: fc.constantFrom(60, 70, 85, 100),
    responseMs: fc.constantFrom(10, 20),
    callsInProgress: fc.constantFrom(0, 1, 2),
    capabilities: fc.constantFrom(['x'], ['x', 'y'], []),
    isCooling: fc.boolean(),
    trickle: fc.constantFrom(null, null, 1),
  });

  test('property: it chooses whom the bridge would choose', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyAgent, { maxLength: 6 }), async (rows) => {
        await db.admin`delete from session_failovers`;
        await db.admin`delete from agent_sessions`;
        await db.admin`delete from agent_registry`;
        const coolingUntil = new Date(Date.now() + 60_000);
        const agents: Agent[] = [];
        for (const row of rows) {
          const id = await agent({
            type: row.type,
            status: row.status,
            circuit: row.circuit,
            health_score: row.healthScore,
            response_ms: row.responseMs,
            capabilities: row.capabilities,
            max_concurrent_sessions: 2,
            trickle: row.trickle,
            cooling_until: row.isCooling ? coolingUntil : null,
          });
          if (row.callsInProgress > 0)
            await db.admin`
              insert into agent_slots (agent_id, pool_id, slots, in_use, valid_until)
              values (${id}, 'p', 2, ${row.callsInProgress}, clock_timestamp() + interval '1 minute')`;
          agents.push({
            ...WELL,
            ...row,
            id,
            name: 'a',
            protocol: 'envelope',
            endpointUrl: 'http://a',
            maxConcurrentSessions: 2,
            coolingUntil: row.isCooling ? coolingUntil : null,
            p99Ms: null,
            lastFailureAt: null,
            signingSecret: '',
            credential: null,
            metadata: {},
          });
        }
        const now = new Date();
        const healthy = agents.filter((one) => isHealthy(one, now));
        const wish = { type: 'chat', capabilities: ['x'], sticky: null, exclude: new Set<string>(), now };
        const [moved] = await failover(await session(null));
        assert.equal(moved!.new_agent, chooseAgent(healthy, wish)?.agent.id ?? null);
      }),
      runs(60),
    );
  });
});
