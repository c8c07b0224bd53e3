// Several copies of one agent behind one address, each with a state of its own: none of them takes away what another holds.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as ask, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type AgentOptions, serveAgent } from '@darkspere/agent';
import { retireOld } from '../../src/agents/credentials.ts';
import { agentFolder } from '../support/agent-program.ts';
import { freePort } from '../support/free-port.ts';
import { keyHolder } from '../support/operator.ts';
import { atRegistration, startRegistrant } from '../support/registrant.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

type Passed = { readonly method: string; readonly path: string; readonly status: number };

/** An address whose requests go to one port after the other, and what they were answered. */
async function balancer(t: TestContext, ports: readonly number[]) {
  const passed: Passed[] = [];
  let turn = 0;
  const server = createServer((request, response) => {
    const { method = '', url: path = '/', headers } = request;
    const on = ask({ host: '127.0.0.1', port: ports[turn++ % ports.length], method, path, headers, agent: false });
    on.on('response', (answer) => {
      passed.push({ method, path, status: answer.statusCode ?? 0 });
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    on.on('error', () => response.destroy());
    request.pipe(on);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { passed, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('copies of an agent behind one address', { concurrency: 3 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  async function copies(t: TestContext, count: number, more: Partial<AgentOptions>) {
    const line = await world.line();
    const ports: number[] = [];
    const front = await balancer(t, ports);
    const registration = await balancer(t, [Number(new URL(world.urls.agentRegistration!).port)]);
    const agents = [];
    while (agents.length < count) {
      const port = await freePort();
      ports.push(port);
      const agent = await serveAgent({
        name: 'copied',
        chat: ({ message }) => `You said: ${message}`,
        port,
        publicUrl: front.url,
        type: line.type,
        registrationUrl: registration.url,
        registrationSecret: world.registrationSecret,
        darkspereUrl: world.urls.gateway ?? '',
        stateFile: join(await agentFolder(t), 'state.json'),
        heartbeatMs: 100,
        handleSignals: false,
        log: () => {},
        ...more,
      });
      t.after(() => agent.stop());
      agents.push(agent);
    }
    await world.refreshAgents();
    const calls = (what: string) => registration.passed.filter(({ path }) => path.endsWith(what)).length;
    /** Every copy has been heard of several times more. */
    const beats = () => {
      const enough = calls('/heartbeat') + 5 * count;
      return until(() => calls('/heartbeat') >= enough, { what: 'heartbeats' });
    };
    return { line, front, registration, agents, calls, beats };
  }

  /** As many texts as it takes to reach every copy, and a text of each copy's own. */
  async function allWork(line: Line, agents: readonly Awaited<ReturnType<typeof serveAgent>>[]): Promise<void> {
    await world.refreshAgents();
    for (const agent of [...agents, ...agents]) {
      const person = line.person();
      await person.text('hi');
      const { conversation } = await line.story(person);
      await agent.post(conversation.id, 'And this.');
      await line.story(person);
      assert.deepEqual(
        person.texts().map(({ body }) => body),
        ['You said: hi', 'And this.'],
      );
    }
  }

  for (const [protocol, count] of [
    ['envelope', 2],
    ['envelope', 3],
    ['mcp', 2],
  ] as const) {
    test(`${count} over ${protocol}: every call and every text is taken, and nobody asks for keys again and again`, async (t) => {
      const { line, front, registration, agents, calls, beats } = await copies(t, count, { protocol });
      assert.equal(new Set(agents.map(({ agentId }) => agentId)).size, 1);
      const refused = () => [...front.passed, ...registration.passed].filter(({ status }) => status >= 400);
      // The first look at a copy that knows no secret yet is refused, as it should be.
      front.passed.length = 0;
      await beats();
      await allWork(line, agents);
      await beats();
      assert.deepEqual(refused(), []);
      assert.deepEqual([calls('/register'), calls('/rotate-key'), calls('/rotate-secret')], [count, 0, 0]);

      // What an operator replaces, every copy replaces for itself, once.
      const { key } = await keyHolder(world, ['read', 'write']);
      for (const what of ['rotate-key', 'rotate-secret']) {
        const path = `/api/agents/${agents[0]!.agentId}/${what}`;
        assert.equal((await atRegistration(world, 'POST', path, {}, key)).status, 200);
      }
      await until(() => calls('/rotate-key') >= count && calls('/rotate-secret') >= count, {
        what: 'new keys and secrets',
      });
      await allWork(line, agents);
      await beats();
      const rotated = [calls('/rotate-key'), calls('/rotate-secret')];
      await beats();
      await allWork(line, agents);
      assert.deepEqual([calls('/rotate-key'), calls('/rotate-secret')], rotated);
      assert.deepEqual(refused(), []);
      assert.equal(calls('/register'), count);
    });
  }

  test('one that an operator’s rotation overtakes between two of its calls hears that its secret is old, too', async (t) => {
    const agent = await startRegistrant(world, 'a copy');
    t.after(() => agent.close());
    const first = (await agent.register()).json;
    await agent.register();
    const at = `/api/agents/${first.agent_id}`;
    const { key } = await keyHolder(world, ['read', 'write']);
    for (const what of ['rotate-key', 'rotate-secret']) await atRegistration(world, 'POST', `${at}/${what}`, {}, key);
    // It has heard of the key alone.
    const { api_key } = (await atRegistration(world, 'POST', `${at}/rotate-key`, {}, first.api_key)).json;
    const beat = () => atRegistration(world, 'POST', `${at}/heartbeat`, { load: 0 }, api_key);
    assert.ok((await beat()).json.old_secret_valid_until);
    const rotated = (await atRegistration(world, 'POST', `${at}/rotate-secret`, {}, api_key)).json;
    assert.equal((await beat()).json.old_secret_valid_until, rotated.old_valid_until);
  });

  test('an operator who replaces what all copies hold waits for a copy that asks, and does not lock it out', async (t) => {
    const agent = await startRegistrant(world, 'asking');
    t.after(() => agent.close());
    const { json } = await agent.register({}, '?probe=skip');
    await agent.register({}, '?probe=skip');
    const id = json.agent_id as string;
    const { key } = await keyHolder(world, ['read', 'write']);
    const ways = [
      () => atRegistration(world, 'POST', `/api/agents/${id}/rotate-key`, {}, key),
      () => atRegistration(world, 'POST', `/api/agents/${id}/rotate-secret`, {}, key),
      () => retireOld(world.database.pools.web, id, 'both', 'operator'),
    ];
    for (const way of ways) {
      let ended: Promise<unknown> | undefined;
      await world.sql.begin(async (copy) => {
        await copy`select from agent_registry where id = ${id} for update`;
        ended = way();
        await until(async () => {
          const [row] = await world.sql<{ n: number }[]>`
            select count(*)::int as n from pg_locks where not granted and pid in (
              select pid from pg_stat_activity where datname = current_database())`;
          return row!.n > 0;
        });
        assert.equal((await copy`select from agent_copies where agent_id = ${id} for update nowait`).length, 1);
      });
      await ended;
    }
  });

  test('seventeen are one agent; of more the one goes that was not heard of for longest', async (t) => {
    const agent = await startRegistrant(world, 'many');
    t.after(() => agent.close());
    const keys: string[] = [];
    let id = '';
    const beat = async (key: string) =>
      (await atRegistration(world, 'POST', `/api/agents/${id}/heartbeat`, { load: 0 }, key)).status;
    for (let n = 0; n < 19; n++) {
      const { json } = await agent.register({}, '?probe=skip');
      keys.push(json.api_key);
      id = json.agent_id;
      // The second was heard of when the first was not.
      if (n === 16) assert.equal(await beat(keys[1]!), 200);
    }
    const heard = await Promise.all(keys.map(beat));
    assert.deepEqual([heard[0], heard[1], heard[2]], [401, 200, 401]);
    assert.ok(heard.slice(3).every((status) => status === 200));
  });

  test('one that is heard of no more holds nothing after a day, and the others go on', async (t) => {
    const { line, agents, registration } = await copies(t, 2, {});
    await agents[0]!.stop();
    await world.sql`update agent_copies set valid_until = now() - interval '1 second' where agent_id = ${agents[0]!.agentId}`;
    await assert.rejects(agents[0]!.post('018f0000-0000-7000-8000-000000000000', 'Hello?'), {
      code: 'agent_key_invalid',
    });
    const person = line.person();
    await person.text('hi');
    await line.story(person);
    assert.equal(registration.passed.filter(({ status }) => status >= 400).length, 0);
  });
});
