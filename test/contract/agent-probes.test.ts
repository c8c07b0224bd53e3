// How agents are probed over each protocol: alive, sick, hostile or not knowing the question.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Agent, Protocol } from '../../src/agents/agent.ts';
import { createProbe, type Finding } from '../../src/agents/probe.ts';
import { mcpDress } from '../support/protocol-dresses.ts';
import { type Behaviour, json, type Peer, raw, startPeer } from '../support/protocol-peer.ts';

const DEADLINES = { connectMs: 1_000, firstByteMs: 300, totalMs: 1_000 };

describe('probes', () => {
  let peer: Peer;
  before(async () => {
    peer = await startPeer();
  });
  after(() => peer.close());

  async function probe(protocol: Protocol, behaviour: Behaviour, more: Partial<Agent> = {}): Promise<Finding> {
    peer.dress(null);
    peer.questions.length = 0;
    peer.behave(behaviour);
    return createProbe(peer.http)(peer.agent(protocol, more), DEADLINES, new AbortController().signal);
  }

  const status = (payload: object) => json({ type: 'health.status', payload });
  const card = json({ name: 'a' });

  const CASES: readonly [Protocol, string, Behaviour, Finding['outcome'], string | null][] = [
    ['envelope', 'healthy', status({ status: 'healthy', load: 0.5 }), 'up', null],
    ['envelope', 'degraded', status({ status: 'degraded' }), 'up', null],
    ['envelope', 'unhealthy', status({ status: 'unhealthy' }), 'down', 'agent_said_error'],
    ['envelope', 'draining', status({ status: 'draining' }), 'down', 'agent_said_error'],
    ['envelope', 'a load of nonsense', status({ status: 'healthy', load: 'much' }), 'up', null],
    ['envelope', 'a chat.response', json({ type: 'chat.response', payload: {} }), 'unknown', null],
    ['envelope', 'an error of its own', json({ type: 'error', payload: { code: 'unknown_type' } }), 'unknown', null],
    ['envelope', '422', json({}, 422), 'unknown', null],
    ['envelope', '501', json({}, 501), 'unknown', null],
    ['envelope', 'HTML', raw('<html>'), 'unknown', null],
    ['envelope', '500', raw('oops', 500), 'down', 'agent_http'],
    ['envelope', '401', json({}, 401), 'down', 'agent_unauthorized'],
    ['envelope', '429', json({}, 429), 'up', null],
    ['envelope', 'a redirect', raw('', 302, { location: 'http://169.254.169.254/' }), 'down', 'agent_http'],
    ['envelope', 'silence', () => {}, 'down', 'agent_timeout'],
    ['envelope', 'a hang-up', (request) => request.socket.destroy(), 'down', 'agent_broken'],
    ['envelope', 'a megabyte', raw('x'.repeat(1_000_000)), 'down', 'agent_too_large'],
    ['openai', 'a list of models', json({ data: [] }), 'up', null],
    ['openai', 'no such list', json({}, 404), 'unknown', null],
    ['openai', 'a wrong key', json({}, 401), 'down', 'agent_unauthorized'],
    ['openai', '500', raw('', 500), 'down', 'agent_http'],
    ['openai', 'silence', () => {}, 'down', 'agent_timeout'],
    ['webhook', 'a page', raw('hello'), 'up', null],
    ['webhook', 'POST only', raw('', 405), 'unknown', null],
    ['webhook', 'POST with a key only', raw('', 403), 'unknown', null],
    ['webhook', '502', raw('', 502), 'down', 'agent_http'],
    ['a2a', 'a card', card, 'up', null],
    ['a2a', 'no card', raw('', 404), 'down', 'agent_http'],
    ['a2a', 'a card that is none', raw('<html>'), 'down', 'agent_contract'],
    ['a2a', 'silence', () => {}, 'down', 'agent_timeout'],
    ['mcp', 'a server of today', mcpDress('2026-07-28').beside!, 'up', null],
    ['mcp', 'an older server', mcpDress('2025-11-25').beside!, 'up', null],
    ['mcp', 'no server', raw('<html>'), 'down', 'agent_contract'],
    ['mcp', '503', raw('', 503), 'down', 'agent_busy'],
    ['mcp', 'silence', () => {}, 'down', 'agent_timeout'],
  ];

  for (const [protocol, name, behaviour, outcome, code] of CASES) {
    test(`${protocol}: ${name} is ${outcome}`, async () => {
      const finding = await probe(protocol, behaviour);
      assert.deepEqual([finding.outcome, finding.code], [outcome, code]);
    });
  }

  test('nobody listens', async () => {
    for (const protocol of ['envelope', 'openai', 'webhook', 'a2a', 'mcp'] as const) {
      const finding = await probe(protocol, raw(''), { endpointUrl: 'http://127.0.0.1:9/' });
      assert.deepEqual([protocol, finding.outcome, finding.code], [protocol, 'down', 'agent_refused']);
    }
  });

  test('an address inside is refused when it is dialled', async () => {
    for (const protocol of ['envelope', 'openai', 'webhook', 'a2a', 'mcp'] as const) {
      const finding = await probe(protocol, raw(''), { endpointUrl: 'http://169.254.169.254/latest' });
      assert.deepEqual([protocol, finding.outcome, finding.code], [protocol, 'down', 'egress_denied']);
    }
  });

  test('openai asks for the models beside the registered path, with the credential; envelope signs and says health.check', async () => {
    const base = `http://127.0.0.1:${peer.port}/v1`;
    await probe('openai', json({}), { endpointUrl: `${base}/chat/completions` });
    assert.deepEqual(
      peer.questions.map(({ method, url, headers }) => [method, url, headers.authorization]),
      [['GET', '/v1/models', 'Bearer sk-secret']],
    );
    await probe('envelope', status({ status: 'healthy' }));
    const [asked] = peer.questions;
    assert.equal(JSON.parse(asked!.body).type, 'health.check');
    assert.ok(asked!.headers['webhook-signature']);
  });
});
