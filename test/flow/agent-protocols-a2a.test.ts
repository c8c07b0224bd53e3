// Texts answered by A2A agents, and by endpoints that keep the conversation, through the whole product.
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type A2aChat, startA2aAgent, startOldA2aAgent } from '../support/a2a-servers.ts';
import { response, said } from '../support/protocol-dresses.ts';
import { json, startPeer } from '../support/protocol-peer.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const bodies = (person: { texts(): readonly { body: string }[] }) => person.texts().map(({ body }) => body);

/** Until the id of a task has arrived, which nothing outside can see, there is nothing to cancel. */
const firstEventRead = () => new Promise((resolve) => setTimeout(resolve, 300));

describe('agents that speak A2A', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  async function lineWith(
    t: TestContext,
    chat: A2aChat,
    settings: Parameters<World['line']>[0] = {},
    start = startA2aAgent,
  ) {
    const server = await start(chat);
    t.after(() => server.close());
    const line = await world.line(settings);
    const agentId = await world.agentAt(server.url, { type: line.type, protocol: 'a2a' });
    return { server, line, agentId };
  }

  for (const [version, start] of [
    ['1.0', startA2aAgent],
    ['0.3', startOldA2aAgent],
  ] as const) {
    test(`${version}: the agent asks back by text, and the answer goes on with its task`, async (t) => {
      const heard: string[] = [];
      const { line } = await lineWith(
        t,
        ({ text, isAnswer, contextId }) => {
          heard.push(`${isAnswer ? 'answer' : 'question'} ${text} ${contextId}`);
          return isAnswer ? { done: `It is sunny in ${text}.` } : { ask: 'In which city?' };
        },
        {},
        start,
      );
      const ann = line.person();
      await ann.text('Weather?');
      await line.story(ann);
      await ann.text('Paris');
      await line.story(ann);
      await ann.text('Thanks');
      const story = await line.story(ann);
      assert.deepEqual(bodies(ann), ['In which city?', 'It is sunny in Paris.', 'In which city?']);
      const context = story.sessions[0]!.thread.handle.context;
      assert.deepEqual(heard, [
        `question Weather? ${context}`,
        `answer Paris ${context}`,
        `question Thanks ${context}`,
      ]);
    });
  }

  test('STOP in the middle ends the task at the agent', async (t) => {
    const { promise: called, resolve: call } = Promise.withResolvers<void>();
    const { server, line } = await lineWith(t, async (_question, working) => {
      working('looking');
      call();
      return new Promise<never>(() => {});
    });
    const ann = line.person();
    await ann.text('Weather?');
    await called;
    await firstEventRead();
    await ann.text('STOP');
    await until(() => server.cancelled.length === 1, { what: 'a cancelled task' });
    const story = await line.story(ann);
    assert.equal(story.messages.filter(({ kind }) => kind === 'reply').length, 0);
  });

  test('a text during a task ends it, and both are asked in a new one', async (t) => {
    const heard: string[] = [];
    const { server, line } = await lineWith(
      t,
      async ({ text }, working) => {
        heard.push(text);
        if (heard.length > 1) return { done: `Re: ${text.replaceAll('\n', ' + ')}` };
        working('looking');
        return new Promise<never>(() => {});
      },
      { busy_policy: 'interrupt' },
    );
    const ann = line.person();
    await ann.text('a table for two');
    await until(() => heard.length === 1);
    await firstEventRead();
    await ann.text('no, for three');
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: a table for two + no, for three']);
    await until(() => server.cancelled.length === 1, { what: 'a cancelled task' });
  });

  test('an agent’s thread is told to that agent alone, and marked when another one has answered', async (t) => {
    const texts: (readonly string[])[] = [];
    const contexts: string[] = [];
    const { line, agentId } = await lineWith(t, ({ text, texts: all, contextId }) => {
      texts.push(all);
      contexts.push(contextId);
      return { done: `first: ${text}` };
    });
    const ann = line.person();
    await ann.text('one');
    await line.story(ann);
    const second = await line.agent(({ message }) => `second: ${message}`);
    const health = (score: number) =>
      world.sql`update agent_registry set health_score = ${score} where id = ${agentId}`.then(() =>
        world.refreshAgents(),
      );
    await health(10);
    await ann.text('two');
    const between = await line.story(ann);
    assert.deepEqual(JSON.stringify(second.calls).includes(contexts[0]!), false);
    assert.equal(between.sessions[0]!.thread.missed, 'answered elsewhere');
    await health(100);
    await second.down();
    await ann.text('three');
    const story = await line.story(ann);
    assert.deepEqual(bodies(ann), ['first: one', 'second: two', 'first: three']);
    // The same context, and all that was said, because the agent has missed some of it.
    assert.equal(new Set(contexts).size, 1);
    assert.deepEqual(texts.at(-1), [
      '[Earlier in this conversation]\nThey: one\nYou: first: one\nThey: two\nYou: second: two',
      'three',
    ]);
    assert.equal(story.sessions[0]!.thread.missed, undefined);
  });

  test('an endpoint of the Responses API goes on with its own response', async (t) => {
    const peer = await startPeer();
    t.after(() => peer.close());
    let n = 0;
    peer.behave((...args) => json(response({ id: `response-${++n}`, output: [said(`Re ${n}`)] }))(...args));
    const line = await world.line();
    await world.agentAt(`http://127.0.0.1:${peer.port}/v1`, {
      type: line.type,
      protocol: 'openai',
      metadata: { api: 'responses' },
    });
    const ann = line.person();
    for (const text of ['one', 'two']) {
      await ann.text(text);
      await line.story(ann);
    }
    assert.deepEqual(bodies(ann), ['Re 1', 'Re 2']);
    const [first, second] = peer.questions.map(({ body }) => JSON.parse(body));
    assert.deepEqual([first.previous_response_id, first.input.length], [undefined, 1]);
    assert.deepEqual([second.previous_response_id, second.input], ['response-1', [{ role: 'user', content: 'two' }]]);
  });

  test('a preset is all that an n8n chat needs', async (t) => {
    const peer = await startPeer();
    t.after(() => peer.close());
    peer.behave(json((seen: { body: string }) => ({ output: `n8n: ${JSON.parse(seen.body).chatInput}` })));
    const line = await world.line();
    await world.agentAt(`http://127.0.0.1:${peer.port}/webhook/x/chat`, {
      type: line.type,
      metadata: { preset: 'n8n-chat' },
    });
    const ann = line.person();
    await ann.text('hi');
    const story = await line.story(ann);
    assert.deepEqual(bodies(ann), ['n8n: hi']);
    assert.equal(JSON.parse(peer.questions[0]!.body).sessionId, story.sessions[0]!.id);
  });
});
