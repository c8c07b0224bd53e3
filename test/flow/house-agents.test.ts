import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { keepConfiguredAgent, retireDemoAgents } from '../../src/agents/house-agents.ts';
import type { AgentSettings } from '../../src/config/agent.ts';
import { createSecretBox } from '../../src/security/secrets.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

const AGENT: AgentSettings = {
  url: 'http://127.0.0.1:9/chat',
  protocol: 'envelope',
  credential: null,
  signingSecret: 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz',
  metadata: {},
};

describe('the agents of the house', () => {
  let db: TestDatabase;
  const secretBox = createSecretBox(randomBytes(32));
  const keep = (agent: AgentSettings | null, egressAllow = ['127.0.0.0/8']) =>
    keepConfiguredAgent({ sql: db.pools.admin, secretBox, egressAllow }, agent);
  const rows = () => db.admin`
    select endpoint_url, protocol, status from agent_registry where metadata ->> 'source' = 'environment' order by id`;

  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  test('the one in the environment is registered once, follows its settings and goes when it is no longer named', async () => {
    // Also where several processes start at once.
    await Promise.all([keep(AGENT), keep(AGENT)]);
    await keep(AGENT);
    assert.deepEqual([...(await rows())], [{ endpoint_url: AGENT.url, protocol: 'envelope', status: 'active' }]);
    await keep({ ...AGENT, url: 'http://127.0.0.1:10/v1', protocol: 'openai' });
    assert.deepEqual(
      [...(await rows())],
      [{ endpoint_url: 'http://127.0.0.1:10/v1', protocol: 'openai', status: 'active' }],
    );
    await keep(null);
    assert.deepEqual(
      (await rows()).map((row) => row.status),
      ['deactivated'],
    );
  });

  test('whoever registers with the same mark is not given its address and secrets, and is not taken out with it', async () => {
    await db.admin`
      insert into agent_registry (name, endpoint_url, api_key_hash, secrets, metadata, registered_with)
      values ('stranger', 'http://127.0.0.1:13/', '\\x05', '\\x06', '{"source":"environment"}', 'secret')`;
    await keep(AGENT);
    await keep(null);
    const [stranger] = await db.admin`select endpoint_url, status, secrets from agent_registry where name = 'stranger'`;
    assert.deepEqual(
      { ...stranger },
      { endpoint_url: 'http://127.0.0.1:13/', status: 'active', secrets: Buffer.from([6]) },
    );
  });

  test('its address is held to the same rules as everybody’s', async () => {
    await assert.rejects(keep(AGENT, []), { code: 'egress_denied' });
  });

  test('a demo agent that no longer runs is taken out', async () => {
    await db.admin`
      insert into agent_registry (name, endpoint_url, api_key_hash, secrets, metadata)
      values ('demo', 'http://127.0.0.1:11/', '\\x01', '\\x02', '{"source":"demo"}'),
        ('mine', 'http://127.0.0.1:12/', '\\x03', '\\x04', '{}')`;
    await retireDemoAgents(db.pools.admin);
    const states = await db.admin`select name, status from agent_registry where name in ('demo', 'mine') order by name`;
    assert.deepEqual(
      [...states],
      [
        { name: 'demo', status: 'deactivated' },
        { name: 'mine', status: 'active' },
      ],
    );
  });
});
