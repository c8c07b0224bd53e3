// Agents as operators see and steer them: lists, probes by a worker, draining, disabling, and what that does to texts.
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type Answer, type Caller, keyHolder, signIn } from '../support/operator.ts';
import { atRegistration, startRegistrant } from '../support/registrant.ts';
import type { ScriptedAgent } from '../support/scripted-agent.ts';
import { startWorld, type World } from '../support/world.ts';

const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.code}`;

describe('agents in the hands of operators', () => {
  let world: World;
  let asKey: Caller;
  before(async () => {
    world = await startWorld();
    ({ call: asKey } = await keyHolder(world, ['read', 'write']));
  });
  after(() => world.stop());

  const start = async (t: TestContext, name: string) => {
    const agent = await startRegistrant(world, name);
    t.after(() => agent.close());
    return agent;
  };
  const act = async (agent: ScriptedAgent, what: string, body?: object) => {
    const answer = await asKey('POST', `/v1/agents/${agent.id}/${what}`, body);
    assert.equal(answer.status, 200, answer.text);
    await world.refreshAgents();
    return answer.json;
  };

  test('are listed in pages, by type, protocol and status', async () => {
    const line = await world.line();
    const three = [];
    for (const name of ['one', 'two', 'three']) three.push(await line.agent(() => name, { name }));
    const list = async (query: string) =>
      (await asKey('GET', `/v1/agents?type=${encodeURIComponent(line.type)}${query}`)).json;
    const first = await list('&limit=2');
    assert.deepEqual(
      first.data.map(({ name }: { name: string }) => name),
      ['one', 'two'],
    );
    const second = await list(`&limit=2&cursor=${first.next_cursor}`);
    assert.deepEqual([second.data.map(({ id }: { id: string }) => id), second.next_cursor], [[three[2]!.id], null]);
    assert.equal((await list('&protocol=mcp')).data.length, 0);
    await act(three[0]!, 'disable', { reason: 'wrong model' });
    await asKey('POST', `/v1/agents/${three[1]!.id}/deactivate`);
    const ids = async (status: string) => (await list(`&status=${status}`)).data.map(({ id }: { id: string }) => id);
    assert.deepEqual(await ids('disabled'), [three[0]!.id]);
    assert.deepEqual(await ids('deactivated'), [three[1]!.id]);
    assert.deepEqual(await ids('active'), [three[2]!.id]);
    assert.equal((await list('')).data.length, 2);
    for (const query of ['status=tired', 'limit=0', 'limit=201', 'cursor=x', 'protocol=soap', 'kind=x'])
      assert.equal(codeOf(await asKey('GET', `/v1/agents?${query}`)), '422 invalid_request', query);
  });

  test('are shown in full, without anything that opens something', async (t) => {
    const agent = await start(t, 'shown');
    const { json: added } = await agent.register({ agent_type: 'shown', metadata: { a: 1, api_key: 'sk-hidden' } });
    const { status, json, text } = await asKey('GET', `/v1/agents/${added.agent_id}`);
    assert.equal(status, 200);
    assert.deepEqual(
      [json.name, json.metadata, json.last_probe.ok, json.draining, json.disabled, json.old_key_until],
      ['shown', { a: 1 }, true, null, null, null],
    );
    for (const secret of [added.api_key, added.signing_secret, 'sk-hidden']) assert.ok(!text.includes(secret));
    assert.equal(codeOf(await asKey('GET', `/v1/agents/${crypto.randomUUID()}`)), '404 not_found');
  });

  test('show the query of their address, which may be a key, to who may change them, one at a time', async (t) => {
    const agent = await start(t, 'functions');
    const endpoint_url = `${agent.url}?code=sesame`;
    const { json: added } = await agent.register({ agent_type: 'functions', endpoint_url });
    const at = `/v1/agents/${added.agent_id}`;
    const { call: reader } = await keyHolder(world, ['read']);
    for (const path of [at, '/v1/agents?type=functions', '/v1/overview']) {
      const { status, text } = await reader('GET', path);
      assert.equal(status, 200, text);
      assert.ok(text.includes(`${agent.url}?…`) && !text.includes('sesame'), path);
    }
    assert.ok(!(await asKey('GET', '/v1/agents?type=functions')).text.includes('sesame'));
    assert.equal((await asKey('GET', at)).json.endpoint_url, endpoint_url);
    const { key } = await keyHolder(world, ['read']);
    const seenBy = async (bearer: string) =>
      (await atRegistration(world, 'GET', `/api/agents/${added.agent_id}`, undefined, bearer)).json.endpoint_url;
    assert.deepEqual([await seenBy(key), await seenBy(added.api_key)], [`${agent.url}?…`, endpoint_url]);
  });

  test('are registered, changed and given new keys in the console as well', async (t) => {
    const agent = await start(t, 'by hand');
    const { call: inConsole } = await signIn(world);
    const added = await inConsole('POST', '/v1/agents', { ...agent.about, agent_type: 'by-hand' });
    assert.deepEqual([added.status, added.json.probe?.ok], [201, true], added.text);
    const at = `/v1/agents/${added.json.agent_id}`;
    assert.equal((await inConsole('PUT', at, { max_concurrent_sessions: 3 })).status, 200);
    const rotated = await inConsole('POST', `${at}/rotate-key`);
    assert.match(rotated.json.api_key, /^dsp_agent_/);
    const detail = (await inConsole('GET', at)).json;
    assert.deepEqual([detail.max_concurrent_sessions, detail.old_key_until], [3, rotated.json.old_valid_until]);
    await agent.close();
    const refused = await inConsole('POST', '/v1/agents', { ...agent.about, agent_name: 'another' });
    assert.equal(codeOf(refused), '422 probe_failed');
    assert.match(refused.json.error.message, /stage tcp/);
    assert.equal(refused.json.error.param, 'endpoint_url');
  });

  test('are probed by a worker, with the secret that they know', async (t) => {
    const agent = await start(t, 'probed');
    const { json: added } = await agent.register({ agent_type: 'probed' }, '?probe=skip');
    const at = `/v1/agents/${added.agent_id}`;
    const probe = async (body?: object) => (await asKey('POST', `${at}/probe`, body)).json;
    const found = await probe();
    assert.deepEqual([found.ok, found.depth, found.failed_stage], [true, 'full', null], JSON.stringify(found));
    assert.equal(agent.signers(agent.heard.at(-1)!, { its: added.signing_secret }).length, 1);
    assert.deepEqual((await asKey('GET', at)).json.last_probe, found);
    assert.equal((await probe({ depth: 'handshake' })).depth, 'handshake');
    // Of several at once each gets one that began after it was asked for.
    const together = await Promise.all([probe(), probe(), probe()]);
    assert.ok(together.every(({ ok }) => ok));
    await agent.close();
    const failed = await probe();
    assert.deepEqual([failed.ok, failed.failed_stage, failed.code], [false, 'tcp', 'agent_refused']);
    assert.match(failed.hint, /Start the agent/);
    // It says nothing about health, which follows from calls.
    const { json } = await asKey('GET', at);
    assert.deepEqual([json.status, json.health_score], ['active', 100]);
    assert.equal(codeOf(await asKey('POST', `/v1/agents/${crypto.randomUUID()}/probe`)), '404 not_found');
    assert.equal(codeOf(await asKey('POST', `${at}/probe`, { depth: 'deep' })), '422 invalid_request');
  });

  test('draining: new sessions go to others, those that it has go on', async () => {
    const line = await world.line();
    const first = await line.agent(() => 'first', { name: 'first' });
    const [ada, bob, eve] = [line.person(), line.person(), line.person()];
    const text = async (person: typeof ada, body: string) => {
      await person.text(body);
      await line.story(person);
    };
    await text(ada, 'one');
    const second = await line.agent(() => 'second', { name: 'second' });
    const drained = await act(first, 'drain', { reason: 'a new model' });
    assert.deepEqual([drained.draining.reason, drained.status], ['a new model', 'active']);
    assert.match(drained.draining.by, /^test \d+$/);
    await text(ada, 'two');
    await text(bob, 'three');
    assert.deepEqual([first.heard(), second.heard()], [['one', 'two'], ['three']]);
    // Nobody else is left: a person waits.
    await act(second, 'disable', { reason: 'broken' });
    await text(eve, 'four');
    assert.deepEqual(first.heard().at(-1), 'four');
    const enabled = await act(first, 'enable');
    assert.equal(enabled.draining, null);
  });

  test('disabled: asked nothing, whatever its health, until it is enabled', async () => {
    const line = await world.line();
    const first = await line.agent(() => 'first', { name: 'first' });
    const person = line.person();
    const text = async (body: string) => {
      await person.text(body);
      await line.story(person);
      return person.texts().at(-1)?.body;
    };
    assert.equal(await text('one'), 'first');
    const second = await line.agent(() => 'second', { name: 'second' });
    const disabled = await act(first, 'disable', { reason: 'says nonsense' });
    assert.deepEqual([disabled.status, disabled.disabled.reason], ['disabled', 'says nonsense']);
    assert.equal(await text('two'), 'second');
    // A result of a call that was under way, or a probe, may write another status: the operator's word holds.
    await world.sql`update agent_registry set status = 'active' where id = ${first.id}`;
    await world.refreshAgents();
    assert.equal((await asKey('GET', `/v1/agents/${first.id}`)).json.status, 'disabled');
    second.behave(() => ({ status: 500 }));
    await text('three');
    assert.deepEqual(first.heard(), ['one']);
    await world.sql`
      update agent_registry set status = 'disabled', consecutive_failures = 5, health_score = 10,
        cooling_until = now() + interval '1 hour' where id = ${second.id}`;
    second.behave(() => 'second again');
    const enabled = await act(second, 'enable');
    assert.deepEqual([enabled.status, enabled.health_score, enabled.consecutive_failures], ['active', 70, 0]);
    await act(first, 'enable');
    assert.equal((await asKey('GET', `/v1/agents/${first.id}`)).json.disabled, null);
  });

  test('what is wrong is named, and what is gone is not there', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'x');
    for (const [what, body, param] of [
      ['disable', {}, 'reason'],
      ['disable', { reason: '' }, 'reason'],
      ['disable', { reason: 'a\nb' }, 'reason'],
      ['drain', { reason: 'x'.repeat(301) }, 'reason'],
      ['drain', { until: 'tomorrow' }, 'until'],
    ] as const) {
      const answer = await asKey('POST', `/v1/agents/${agent.id}/${what}`, body);
      assert.deepEqual([answer.status, answer.json.error.param], [422, param]);
    }
    await asKey('POST', `/v1/agents/${agent.id}/deactivate`);
    for (const [what, body] of [
      ['drain', {}],
      ['disable', { reason: 'x' }],
      ['enable', undefined],
      ['rotate-secret', {}],
    ] as const)
      assert.equal(codeOf(await asKey('POST', `/v1/agents/${agent.id}/${what}`, body)), '404 not_found', what);
    assert.equal((await asKey('POST', `/v1/agents/${agent.id}/activate`)).status, 200);
    assert.equal((await asKey('GET', `/v1/agents/${agent.id}`)).json.status, 'active');
  });
});
