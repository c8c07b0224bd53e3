// How agents are met over each protocol, what that says of their health, and what they name: alive, sick, hostile or not
// knowing the question.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Agent, Protocol } from '../../src/agents/agent.ts';
import { createMeet } from '../../src/agents/meet.ts';
import { type Finding, findingOf } from '../../src/agents/prober.ts';
import type { About, Meeting, Met } from '../../src/agents/protocols/meeting.ts';
import { failed } from '../../src/agents/protocols/wire.ts';
import { a2aDress, CHAT_TOOL, mcpDress } from '../support/protocol-dresses.ts';
import { type Behaviour, json, type Peer, raw, type Seen, startPeer } from '../support/protocol-peer.ts';

const DEADLINES = { connectMs: 1_000, firstByteMs: 300, totalMs: 1_000 };
const EVERY = ['envelope', 'openai', 'webhook', 'a2a', 'mcp'] as const satisfies readonly Protocol[];

describe('meetings', () => {
  let peer: Peer;
  before(async () => {
    peer = await startPeer();
  });
  after(() => peer.close());

  async function meet(protocol: Protocol, about: About, behaviour: Behaviour, more: Partial<Agent> = {}) {
    peer.dress(null);
    peer.questions.length = 0;
    peer.behave(behaviour);
    const { signal } = new AbortController();
    return createMeet(peer.http)({ agent: peer.agent(protocol, more), deadlines: DEADLINES, signal }, about);
  }
  const probe = async (protocol: Protocol, behaviour: Behaviour, more?: Partial<Agent>): Promise<Finding> =>
    findingOf({ protocol, responseMs: 0 }, await meet(protocol, 'health', behaviour, more), 0);

  /** An envelope that answers the one before it. */
  const answer = (type: string, payload: object) =>
    json(({ body }: Seen) => ({ type, in_reply_to: JSON.parse(body).message_id, payload }));
  const status = (payload: object) => answer('health.status', payload);

  const HEALTH: readonly [Protocol, string, Behaviour, Finding['outcome'], string | null][] = [
    ['envelope', 'healthy', status({ status: 'healthy', load: 0.5 }), 'up', null],
    ['envelope', 'degraded', status({ status: 'degraded' }), 'up', null],
    ['envelope', 'unhealthy', status({ status: 'unhealthy' }), 'down', 'agent_said_error'],
    ['envelope', 'draining', status({ status: 'draining' }), 'down', 'agent_said_error'],
    ['envelope', 'a load of nonsense', status({ status: 'healthy', load: 'much' }), 'up', null],
    ['envelope', 'no word for it', status({ load: 1 }), 'unknown', null],
    ['envelope', 'an answer to another', json({ type: 'health.status', payload: { status: 'up' } }), 'unknown', null],
    ['envelope', 'a chat.response', answer('chat.response', {}), 'unknown', null],
    ['envelope', 'an error of its own', json({ type: 'error', payload: { code: 'unknown_type' } }), 'unknown', null],
    ['envelope', 'an error of its own, 404', json({ type: 'error', payload: {} }, 404), 'unknown', null],
    ['envelope', '422', json({}, 422), 'unknown', null],
    ['envelope', '501', json({}, 501), 'unknown', null],
    // An agent that only reads texts falls over a payload without one.
    ['envelope', '500', raw('oops', 500), 'unknown', null],
    ['envelope', 'HTML', raw('<html>'), 'unknown', null],
    ['envelope', '404', raw('', 404), 'down', 'agent_http'],
    ['envelope', '502', raw('', 502), 'down', 'agent_away'],
    ['envelope', 'an error of its own, 502', json({ type: 'error', payload: {} }, 502), 'unknown', null],
    ['envelope', '401', json({}, 401), 'down', 'agent_unauthorized'],
    ['envelope', '429', json({}, 429), 'up', null],
    ['envelope', 'a redirect', raw('', 302, { location: 'http://169.254.169.254/' }), 'down', 'agent_http'],
    ['envelope', 'silence', () => {}, 'down', 'agent_timeout'],
    ['envelope', 'a hang-up', (request) => request.socket.destroy(), 'down', 'agent_broken'],
    ['envelope', 'a megabyte', raw('x'.repeat(1_000_000)), 'down', 'agent_too_large'],
    ['openai', 'a list of models', json({ data: [] }), 'up', null],
    ['openai', 'no such list', json({}, 404), 'unknown', null],
    ['openai', 'a page instead', raw('<html>'), 'unknown', null],
    ['openai', 'a key that is wrong or may not list', json({}, 401), 'unknown', null],
    ['openai', 'a key that may not list', json({}, 403), 'unknown', null],
    ['openai', '500', raw('', 500), 'down', 'agent_http'],
    ['openai', 'silence', () => {}, 'down', 'agent_timeout'],
    ['webhook', 'a page', raw('hello'), 'up', null],
    ['webhook', 'POST only', raw('', 405), 'unknown', null],
    ['webhook', 'POST with a key only', raw('', 403), 'unknown', null],
    ['webhook', 'a teapot', raw('', 418), 'unknown', null],
    ['webhook', '429', raw('', 429), 'up', null],
    // One that reads a question out of every request falls over a GET, one with a page for people sends them there.
    ['webhook', '500', raw('oops', 500), 'unknown', null],
    ['webhook', 'a redirect', raw('', 302, { location: '/welcome' }), 'unknown', null],
    ['webhook', '502', raw('', 502), 'down', 'agent_away'],
    ['webhook', '521 of a proxy', raw('', 521), 'down', 'agent_http'],
    ['a2a', 'a card', a2aDress('1.0').beside!, 'up', null],
    ['a2a', 'a card of before', a2aDress('0.3').beside!, 'up', null],
    ['a2a', 'no card', raw('', 404), 'down', 'agent_contract'],
    ['a2a', 'a card that is none', raw('<html>'), 'down', 'agent_contract'],
    ['a2a', 'a card that names nothing spoken here', json({ name: 'a' }), 'down', 'agent_contract'],
    ['a2a', 'silence', () => {}, 'down', 'agent_timeout'],
    ['mcp', 'a server of today', mcpDress('2026-07-28').beside!, 'up', null],
    ['mcp', 'an older server', mcpDress('2025-11-25').beside!, 'up', null],
    ['mcp', 'no server', raw('<html>'), 'down', 'agent_contract'],
    ['mcp', '503', raw('', 503), 'up', null],
    ['mcp', 'silence', () => {}, 'down', 'agent_timeout'],
  ];

  for (const [protocol, name, behaviour, outcome, code] of HEALTH) {
    test(`${protocol}: ${name} is ${outcome}`, async () => {
      const finding = await probe(protocol, behaviour);
      assert.deepEqual([finding.outcome, finding.code], [outcome, code]);
    });
  }

  test('the silence of one that thinks for as long over a text is no bad sign, where it may take the question for one', () => {
    const silence = { outcome: failed('agent_timeout', ''), status: null };
    const finding = (protocol: Protocol, responseMs: number, durationMs: number) =>
      findingOf({ protocol, responseMs }, silence, durationMs).outcome;
    assert.equal(finding('envelope', 6_000, 5_010), 'unknown');
    assert.equal(finding('envelope', 900, 5_010), 'down');
    assert.equal(finding('envelope', 6_000, 3_010), 'down', 'no connection');
    assert.equal(finding('openai', 6_000, 5_010), 'down');
  });

  test('nobody listens', async () => {
    for (const protocol of EVERY) {
      const finding = await probe(protocol, raw(''), { endpointUrl: 'http://127.0.0.1:9/' });
      assert.deepEqual([protocol, finding.outcome, finding.code], [protocol, 'down', 'agent_refused']);
    }
  });

  test('an address inside is refused when it is dialled', async () => {
    for (const protocol of EVERY) {
      const finding = await probe(protocol, raw(''), { endpointUrl: 'http://169.254.169.254/latest' });
      assert.deepEqual([protocol, finding.outcome, finding.code], [protocol, 'down', 'egress_denied']);
    }
  });

  const models = json({ data: [{ id: 'small' }, { id: 'default' }] });
  const abilities = (payload: object) => answer('capabilities.response', payload);
  const skilled = a2aDress('1.0', { skills: [{ id: 'weather', name: 'Weather', description: '', tags: [] }] });
  const CAPABILITIES: readonly [Protocol, string, Behaviour, Partial<Met> | 'none' | string][] = [
    [
      'envelope',
      'all that it names',
      abilities({ capabilities: ['chat', 'media'], version: '2', limits: { per_minute: 9 } }),
      { offers: ['chat', 'media'], version: '2', limits: { per_minute: 9 }, detail: 'it names its capabilities (2)' },
    ],
    [
      'envelope',
      'nothing of use',
      abilities({ capabilities: 'all', version: 7, limits: [] }),
      { offers: [], limits: {} },
    ],
    [
      'envelope',
      'too much',
      abilities({ capabilities: Array(210).fill('x'.repeat(210)), version: 'v'.repeat(210) }),
      {},
    ],
    ['envelope', 'another type', answer('chat.response', {}), 'none'],
    ['envelope', '400', raw('', 400), 'none'],
    ['envelope', '404', raw('', 404), 'agent_http'],
    ['envelope', 'a page', raw('<html>'), 'agent_contract'],
    [
      'openai',
      'a list',
      models,
      { offers: ['small', 'default'], detail: 'its models are listed (2), default among them' },
    ],
    ['openai', 'no list', raw('', 404), 'none'],
    ['openai', 'a key that may not list', json({}, 403), 'none'],
    ['openai', 'a page', raw('<html>'), 'agent_contract'],
    ['webhook', 'whatever', raw('', 500), 'none'],
    ['a2a', 'a card', skilled.beside!, { offers: ['weather'], name: 'peer', version: '1' }],
    ['mcp', 'a tool', mcpDress('2026-07-28').beside!, { offers: ['chat'] }],
    ['mcp', 'a tool, older', mcpDress('2025-11-25').beside!, { offers: ['chat'], name: 'peer', version: '1' }],
    [
      'mcp',
      'two tools alike',
      mcpDress('2026-07-28', [
        { ...CHAT_TOOL, name: 'ask_a' },
        { ...CHAT_TOOL, name: 'ask_b' },
      ]).beside!,
      'agent_contract',
    ],
  ];

  const kindOf = ({ outcome }: Meeting) => (outcome.kind === 'failed' ? outcome.code : outcome.kind);
  for (const [protocol, name, behaviour, expected] of CAPABILITIES) {
    test(`${protocol} about its capabilities: ${name}`, async () => {
      const meeting = await meet(protocol, 'capabilities', behaviour);
      const isMet = typeof expected !== 'string';
      assert.equal(kindOf(meeting), isMet ? 'met' : expected, JSON.stringify(meeting));
      if (!isMet) return;
      const outcome = meeting.outcome as Met;
      assert.deepEqual({ ...outcome, ...expected }, outcome);
      assert.ok(outcome.offers.length <= 200 && outcome.offers.every((offer) => offer.length <= 200));
      assert.ok((outcome.version ?? '').length <= 200);
    });
  }

  test('openai asks for the models beside the registered path, with the credential; envelope signs and says health.check', async () => {
    const base = `http://127.0.0.1:${peer.port}/v1`;
    await probe('openai', json({}), { endpointUrl: `${base}/chat/completions?v=1` });
    assert.deepEqual(
      peer.questions.map(({ method, url, headers }) => [method, url, headers.authorization]),
      [['GET', '/v1/models?v=1', 'Bearer sk-secret']],
    );
    await probe('envelope', status({ status: 'healthy' }), { oldSigningSecret: 'whsec_b2xk' });
    const [asked] = peer.questions;
    assert.equal(JSON.parse(asked!.body).type, 'health.check');
    // While a secret is being changed the agent may know either.
    assert.equal(String(asked!.headers['webhook-signature']).split(' ').length, 2);
  });

  test('a webhook is asked nothing about what it can do, and how it is with the header that it wants', async () => {
    const metadata = { body: { text: '{{text}}' }, path: '/run', api_key_header: 'X-Api-Key' };
    await meet('webhook', 'capabilities', raw(''), { metadata });
    assert.equal(peer.questions.length, 0);
    await meet('webhook', 'health', raw(''), { metadata });
    assert.deepEqual(
      peer.questions.map(({ method, url, headers }) => [method, url, headers['x-api-key'], headers.authorization]),
      [['GET', '/v1/run', 'sk-secret', undefined]],
    );
  });
});
