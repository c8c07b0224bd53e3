// Texts answered by MCP servers, through the whole product: memory, STOP, interrupts, failover, a moment please.
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type McpChat, startMcpAgent, startOldMcpAgent } from '../support/mcp-servers.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const bodies = (person: { texts(): readonly { body: string }[] }) => person.texts().map(({ body }) => body);

describe('agents that are MCP servers', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  async function lineWith(
    t: TestContext,
    chat: McpChat,
    settings: Parameters<World['line']>[0] = {},
    start = startMcpAgent,
  ) {
    const server = await start(chat);
    t.after(() => server.close());
    const line = await world.line(settings);
    const agentId = await world.agentAt(server.url, { type: line.type, protocol: 'mcp' });
    return { server, line, agentId };
  }

  test('a text is answered, and a session is one conversation of the server’s until it is reset', async (t) => {
    const handles: (string | undefined)[] = [];
    const { line, agentId } = await lineWith(t, ({ message, conversation_id }) => {
      handles.push(conversation_id);
      return { text: '', structured: { reply: `Re: ${message}`, conversation_id: `theirs-${handles.length}` } };
    });
    const ann = line.person();
    for (const text of ['one', 'two', 'RESET', 'three']) {
      await ann.text(text);
      await line.story(ann);
    }
    assert.deepEqual(
      bodies(ann).filter((body) => body.startsWith('Re:')),
      ['Re: one', 'Re: two', 'Re: three'],
    );
    const story = await line.story(ann);
    const [first, second] = story.sessions;
    assert.deepEqual(handles, [first!.id, 'theirs-1', second!.id]);
    const { at, ...thread } = second!.thread;
    assert.ok(Date.parse(at) > 0);
    assert.deepEqual(thread, { agent: agentId, handle: { conversation: 'theirs-3' } });
    const [exchange] = story.exchanges.filter(({ kind }) => kind === 'agent');
    assert.match(exchange!.request, /"name":"chat".*"message":"one"/);
    assert.match(exchange!.response, /Re: one/);
  });

  for (const [era, start] of [
    ['2026-07-28', startMcpAgent],
    ['2025-11-25', startOldMcpAgent],
  ] as const) {
    test(`STOP in the middle of a call is heard by the server (${era})`, async (t) => {
      const { promise: called, resolve: call } = Promise.withResolvers<void>();
      const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
      const hang: McpChat = async (_args, { signal }) => {
        signal.addEventListener('abort', () => cancel());
        call();
        return new Promise<never>(() => {});
      };
      const { line } = await lineWith(t, hang, {}, start);
      const ann = line.person();
      await ann.text('a long story please');
      await called;
      await ann.text('STOP');
      await cancelled;
      const story = await line.story(ann);
      assert.deepEqual(
        story.turns.map(({ state }) => state),
        ['cancelled'],
      );
      assert.equal(story.messages.filter(({ kind }) => kind === 'reply').length, 0);
    });
  }

  test('a text during a call cancels it and asks anew with both, as the number wants', async (t) => {
    const heard: string[] = [];
    const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
    const { line } = await lineWith(
      t,
      async ({ message }, { signal }) => {
        heard.push(message);
        if (heard.length > 1) return `Re: ${message.replaceAll('\n', ' + ')}`;
        signal.addEventListener('abort', () => cancel());
        return new Promise<never>(() => {});
      },
      { busy_policy: 'interrupt' },
    );
    const ann = line.person();
    await ann.text('a table for two');
    await until(() => heard.length === 1);
    await ann.text('no, for three');
    await cancelled;
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: a table for two + no, for three']);
  });

  test('when the server is gone another agent takes over with the same transcript', async (t) => {
    const { server, line, agentId } = await lineWith(t, ({ message }) => ({ text: `mcp: ${message}` }));
    const ann = line.person();
    await ann.text('Weather?');
    await line.story(ann);
    const envelope = await line.agent(({ message }) => `envelope: ${message}`);
    await server.close();
    await ann.text('And tomorrow?');
    const story = await line.story(ann);
    assert.deepEqual(bodies(ann), ['mcp: Weather?', 'envelope: And tomorrow?']);
    assert.deepEqual(
      envelope.calls[0]!.payload.conversation_history.map(({ role, content }) => [role, content]),
      [
        ['user', 'Weather?'],
        ['assistant', 'mcp: Weather?'],
      ],
    );
    assert.equal(story.sessions[0]!.failovers, 1);
    assert.deepEqual(
      story.exchanges
        .filter(({ kind }) => kind === 'agent')
        .map(({ agent_id, error_code }) => [agent_id === agentId, error_code]),
      [
        [true, null],
        [true, 'agent_refused'],
        [false, null],
      ],
    );
  });

  test('an agent that reports progress for seconds has the person told once, without a hold time of the number', async (t) => {
    const { line } = await lineWith(
      t,
      async (_args, { progress }) => {
        const endsAt = performance.now() + 6_500;
        while (performance.now() < endsAt) {
          await progress('still at it');
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        return 'Here it is.';
      },
      { hold_text: 'One moment.' },
    );
    const ann = line.person();
    await ann.text('something big');
    await until(() => bodies(ann).includes('Here it is.'), { timeoutMs: 20_000 });
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['One moment.', 'Here it is.']);
  });
});
