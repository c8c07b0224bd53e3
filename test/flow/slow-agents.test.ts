// Programs and operators who ask an agent that thinks for longer than a silent connection is kept.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, keyHolder } from '../support/operator.ts';
import { startWorld, type World } from '../support/world.ts';

/** Longer than the ten seconds after which the server gives up a connection that says nothing. */
const THINKS_MS = 10_500;

describe('an agent that thinks for long', { concurrency: 2 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  async function asked(base: string, path: (agentId: string) => string, body: (agentId: string) => object) {
    const agent = await world.agent(async () => {
      await sleep(THINKS_MS);
      return 'At last.';
    });
    const { key } = await keyHolder(world, ['read', 'write', 'chat']);
    return call(base, 'POST', path(agent.id), body(agent.id), { authorization: `Bearer ${key}` });
  }

  test('is waited for by the adapter', async () => {
    const { status, json, text } = await asked(
      world.urls.mcpAdapter!,
      () => '/mcp/chat',
      (id) => ({ message: 'Think!', agent_id: id }),
    );
    assert.deepEqual([status, json?.message], [200, 'At last.'], text);
  });

  test('is waited for by an operator who talks to it', async () => {
    const { status, json, text } = await asked(
      world.urls.gateway!,
      (id) => `/v1/agents/${id}/chat`,
      () => ({ message: 'Think!' }),
    );
    assert.deepEqual([status, json?.reply?.text], [200, 'At last.'], text);
  });
});
