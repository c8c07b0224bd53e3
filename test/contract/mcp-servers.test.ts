// Our MCP client against servers that are not ours, in both eras.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentCall } from '../../src/agents/agent.ts';
import { startMcpAgent, startOldMcpAgent, startServerEverything } from '../support/mcp-servers.ts';
import { callTo, failedWith, type Peer, reasonOf, startPeer } from '../support/protocol-peer.ts';
import { until } from '../support/until.ts';

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

const ask = (url: string, metadata: object = {}, more: Partial<AgentCall> = {}) => {
  const agent = peer.agent('mcp', {
    endpointUrl: url,
    metadata: metadata as Record<string, unknown>,
    credential: null,
  });
  return peer.invokeAgent(callTo(agent, { media: [], ...more }));
};

for (const era of ['2026-07-28', 'legacy'] as const) {
  describe(`the current SDK's server, ${era}`, () => {
    test('answers, is given our handle of the session, then its own', async (t) => {
      const heard: (string | undefined)[] = [];
      const server = await startMcpAgent(({ message, conversation_id }) => {
        heard.push(conversation_id);
        return { text: `You said: ${message}`, structured: { reply: `Said: ${message}`, conversation_id: 'theirs' } };
      });
      t.after(() => server.close());
      const { outcome, exchange } = await ask(server.url, { era });
      assert.deepEqual(outcome, {
        kind: 'reply',
        text: 'Said: What is the weather?',
        mediaUrls: [],
        endSession: false,
        handle: { conversation: 'theirs' },
      });
      const { method, params } = JSON.parse(exchange.request);
      assert.deepEqual([method, params.name, params.arguments.message], ['tools/call', 'chat', 'What is the weather?']);
      const thread = { agentId: 'a', handle: { conversation: 'theirs' }, missed: null, at: new Date() };
      await ask(server.url, { era }, { thread });
      assert.deepEqual(heard, ['session-1', 'theirs']);
    });

    test('a tool that fails is a failure, and its words stay in the exchange', async (t) => {
      const server = await startMcpAgent(() => ({ text: 'Ann’s account is locked', isError: true }));
      t.after(() => server.close());
      const result = await ask(server.url, { era });
      failedWith(result, { code: 'agent_said_error', retry: 'other' });
      assert.doesNotMatch(reasonOf(result), /Ann/);
      assert.match(result.exchange.response, /Ann/);
    });

    test('progress is heard unless the agent is registered without', async (t) => {
      const server = await startMcpAgent(async (_args, { progress }) => {
        for (const step of ['looking', 'thinking', 'writing']) await progress(step);
        return 'done';
      });
      t.after(() => server.close());
      for (const [progress, least] of [
        ['tell', 1],
        ['ignore', 0],
      ] as const) {
        let heard = 0;
        const { outcome } = await ask(server.url, { era, progress }, { onProgress: () => heard++ });
        assert.equal(outcome.kind, 'reply');
        assert.ok(least === 0 ? heard === 0 : heard >= least, `${heard} times with ${progress}`);
      }
    });

    for (const [name, deadlines] of [
      ['the person', undefined],
      ['the deadline', { connectMs: 2_000, firstByteMs: 5_000, totalMs: 400 }],
    ] as const) {
      test(`a call cut off by ${name} is cancelled at the server`, async (t) => {
        const controller = new AbortController();
        const { promise: cancelled, resolve } = Promise.withResolvers<void>();
        const server = await startMcpAgent(async (_args, { signal, progress }) => {
          signal.addEventListener('abort', () => resolve());
          await progress('at work');
          if (deadlines === undefined) controller.abort();
          return new Promise<never>(() => {});
        });
        t.after(() => server.close());
        const more = deadlines === undefined ? { signal: controller.signal } : { deadlines };
        failedWith(await ask(server.url, { era }, more), {
          code: deadlines === undefined ? 'agent_cancelled' : 'agent_timeout',
        });
        await cancelled;
      });
    }
  });
}

test('a server of the older SDK: found out by itself, cancelled by its own notification, and its sessions are closed', async (t) => {
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  let hang = false;
  const controller = new AbortController();
  const server = await startOldMcpAgent(async ({ message }, { signal }) => {
    if (!hang) return `Echo ${message}`;
    signal.addEventListener('abort', () => resolve());
    controller.abort();
    return new Promise<never>(() => {});
  });
  t.after(() => server.close());
  const { outcome } = await ask(server.url);
  assert.deepEqual(outcome.kind === 'reply' && outcome.text, 'Echo What is the weather?');
  await until(() => server.sessions.size === 0, { what: 'a closed session' });
  hang = true;
  failedWith(await ask(server.url, {}, { signal: controller.signal }), { code: 'agent_cancelled' });
  await cancelled;
  await until(() => server.sessions.size === 0, { what: 'a closed session after a cancelled call' });
});

for (const version of ['2025-11-25', '2025-06-18', '2025-03-26']) {
  test(`${version}: what the server asks in the middle of a call is answered, and does not end the call`, async (t) => {
    const server = await startOldMcpAgent(async (_args, { ask: askBack, signal }) => {
      await askBack('ping');
      await assert.rejects(askBack('roots/list'), /Method not found/);
      // For longer than an answer that has ended without one is waited for.
      await sleep(1_000, undefined, { signal });
      return 'Found it.';
    }, version);
    t.after(() => server.close());
    const { outcome, exchange } = await ask(server.url);
    assert.equal(outcome.kind === 'reply' ? outcome.text : outcome, 'Found it.');
    assert.equal(exchange.status, 200);
    assert.match(exchange.response, /Found it/);
  });
}

describe('the reference server', () => {
  let server: Awaited<ReturnType<typeof startServerEverything>>;
  before(async () => {
    server = await startServerEverything();
  });
  after(() => server.close());

  test('several of its tools could be the chat, so none is guessed; the one that is named answers', async () => {
    const refused = await ask(server.url);
    failedWith(refused, { code: 'agent_contract', retry: 'other' });
    assert.match(reasonOf(refused), /Several tools could be the chat: echo,/);
    const { outcome } = await ask(server.url, { tool: 'echo' });
    assert.equal(outcome.kind === 'reply' && outcome.text, 'Echo: What is the weather?');
  });

  test('a template reaches a tool that has no message; structured content by its path', async () => {
    const sum = await ask(server.url, { tool: 'get-sum', arguments: { a: 2, b: 3 } });
    assert.match(sum.outcome.kind === 'reply' ? sum.outcome.text : '', /sum of 2 and 3 is 5/);
    const weather = await ask(server.url, {
      tool: 'get-structured-content',
      arguments: { location: 'Chicago' },
      reply: 'conditions',
    });
    assert.equal(weather.outcome.kind, 'reply', JSON.stringify(weather.outcome));
  });

  test('pictures and links', async () => {
    const picture = await ask(server.url, { tool: 'get-tiny-image', arguments: {} });
    assert.match(picture.outcome.kind === 'reply' ? picture.outcome.text : '', /\[attachment\]/);
  });

  test('its sessions are closed', async () => {
    await until(() => server.output().includes('session termination') || server.output().includes('Transport closed'), {
      what: 'the end of a session',
    });
  });

  test('unknown tools and wrong arguments are failures', async () => {
    failedWith(await ask(server.url, { tool: 'nothing', arguments: {} }), { code: 'agent_said_error' });
    failedWith(await ask(server.url, { tool: 'get-sum', arguments: { a: 'two' } }), { code: 'agent_said_error' });
  });

  test('a task-only tool and one that wants to ask back are refused politely', async () => {
    failedWith(await ask(server.url, { tool: 'simulate-research-query', arguments: { topic: 'x' } }), {
      kind: 'failed',
    });
  });
});
