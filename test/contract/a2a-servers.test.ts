// Our A2A client against servers that are not ours: both versions, streaming and not.
import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';
import type { AgentCall, AgentResult, Handle, Thread } from '../../src/agents/agent.ts';
import { type A2aChat, startA2aAgent, startOldA2aAgent } from '../support/a2a-servers.ts';
import { callTo, failedWith, type Peer, reasonOf, startPeer } from '../support/protocol-peer.ts';
import { until } from '../support/until.ts';

// The servers' library writes what it refuses to the console.
mock.method(console, 'error', () => undefined);

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

const ask = (url: string, text: string, more: Partial<AgentCall> = {}, metadata: object = {}) => {
  const agent = peer.agent('a2a', {
    endpointUrl: url,
    metadata: metadata as Record<string, unknown>,
    credential: null,
  });
  return peer.invokeAgent(callTo(agent, { media: [], history: [], text, ...more }));
};
const textOf = ({ outcome }: AgentResult) => (outcome.kind === 'reply' ? outcome.text : JSON.stringify(outcome));
const handleOf = ({ outcome }: AgentResult): Handle => (outcome.kind === 'reply' ? (outcome.handle ?? {}) : {});
const threadOf = (result: AgentResult, missed: Thread['missed'] = null): Thread => ({
  agentId: 'a',
  handle: handleOf(result),
  missed,
  at: new Date(),
});

const SERVERS = {
  '1.0 in a stream': (chat: A2aChat) => startA2aAgent(chat),
  '1.0': (chat: A2aChat) => startA2aAgent(chat, { streams: false }),
  '1.0 over REST': (chat: A2aChat) => startA2aAgent(chat, { binding: 'HTTP+JSON' }),
  '0.3 by the current SDK': (chat: A2aChat) => startA2aAgent(chat, { version: '0.3' }),
  '0.3 by the older SDK in a stream': (chat: A2aChat) => startOldA2aAgent(chat),
  '0.3 by the older SDK': (chat: A2aChat) => startOldA2aAgent(chat, { streams: false }),
};

for (const [name, start] of Object.entries(SERVERS)) {
  describe(name, () => {
    test('an answer in an artifact, in the status or as a message; one context for a session', async (t) => {
      const contexts: string[] = [];
      const server = await start(({ text, contextId }) => {
        contexts.push(contextId);
        if (text === 'artifact') return { done: 'from the artifact' };
        return text === 'status' ? { done: 'from the status', where: 'status' } : { message: 'from a message' };
      });
      t.after(() => server.close());
      const first = await ask(server.url, 'artifact');
      assert.equal(textOf(first), 'from the artifact');
      const second = await ask(server.url, 'status', { thread: threadOf(first) });
      assert.equal(textOf(second), 'from the status');
      const third = await ask(server.url, 'message', { thread: threadOf(second) });
      assert.equal(textOf(third), 'from a message');
      assert.equal(new Set(contexts).size, 1);
      assert.equal(handleOf(first).task, undefined);
      await ask(server.url, 'artifact');
      assert.equal(new Set(contexts).size, 2);
    });

    test('a question of the agent goes out, and its answer goes on with the task', async (t) => {
      const answers: [string, boolean][] = [];
      const server = await start(({ text, isAnswer }) => {
        answers.push([text, isAnswer]);
        return isAnswer ? { done: `Weather in ${text}: sunny` } : { ask: 'In which city?' };
      });
      t.after(() => server.close());
      const question = await ask(server.url, 'Weather?');
      assert.equal(textOf(question), 'In which city?');
      assert.ok(handleOf(question).task);
      const answer = await ask(server.url, 'Paris', { thread: threadOf(question) });
      assert.equal(textOf(answer), 'Weather in Paris: sunny');
      assert.equal(handleOf(answer).task, undefined);
      // Nobody could be reached in between: the question is still the last thing the person heard of this agent.
      const again = await ask(server.url, 'Weather?');
      await ask(server.url, 'Rome', { thread: threadOf(again, 'unanswered') });
      // Somebody else has answered since: what is said now is no answer to it.
      const lost = await ask(server.url, 'Weather?');
      await ask(server.url, 'Hello', { thread: threadOf(lost, 'answered elsewhere') });
      assert.deepEqual(
        answers.map(([text, isAnswer]) => `${text} ${isAnswer}`),
        ['Weather? false', 'Paris true', 'Weather? false', 'Rome true', 'Weather? false', 'Hello false'],
      );
    });

    test('an open task that the agent has forgotten becomes a new one', async (t) => {
      const server = await start(({ text, isAnswer }) => ({ done: `${text} ${isAnswer}` }));
      t.after(() => server.close());
      const thread: Thread = { agentId: 'a', handle: { task: 'gone' }, missed: null, at: new Date() };
      assert.equal(textOf(await ask(server.url, 'Hi', { thread })), 'Hi false');
    });

    test('an open task that is over at the agent becomes a new one', async (t) => {
      const server = await start(({ text, isAnswer }) =>
        text === 'Weather?' ? { ask: 'In which city?' } : { done: `${text} ${isAnswer}` },
      );
      t.after(() => server.close());
      const thread = threadOf(await ask(server.url, 'Weather?'));
      assert.equal(textOf(await ask(server.url, 'Paris', { thread })), 'Paris true');
      // That answer was lost with its worker, so the task is still open as far as the thread says.
      assert.equal(textOf(await ask(server.url, 'Paris', { thread })), 'Paris false');
    });

    test('tasks that fail, are rejected or want a login are failures without their words', async (t) => {
      const server = await start(({ text }) => ({ end: text as 'failed', why: 'Ann has no rights' }));
      t.after(() => server.close());
      for (const [end, code] of [
        ['failed', 'agent_said_error'],
        ['rejected', 'agent_said_error'],
        ['auth-required', 'agent_unauthorized'],
      ] as const) {
        const result = await ask(server.url, end);
        failedWith(result, { code, retry: 'other' });
        assert.doesNotMatch(reasonOf(result), /Ann/);
        assert.match(result.exchange.response, /Ann/);
      }
    });

    test('an agent that takes a conversation over is told what was said, in words of their own', async (t) => {
      const heard: (readonly string[])[] = [];
      const server = await start(({ texts }) => {
        heard.push(texts);
        return { done: 'ok' };
      });
      t.after(() => server.close());
      const at = new Date();
      const history = [
        { role: 'user' as const, content: 'Hi', timestamp: at },
        { role: 'assistant' as const, content: 'Hello!', timestamp: at },
      ];
      const first = await ask(server.url, 'And now?', { history });
      await ask(server.url, 'Go on', { history, thread: threadOf(first) });
      await ask(server.url, 'Quiet', { history }, { history: 'none' });
      assert.deepEqual(heard, [
        ['[Earlier in this conversation]\nThey: Hi\nYou: Hello!', 'And now?'],
        ['Go on'],
        ['Quiet'],
      ]);
    });
  });
}

for (const [name, start] of Object.entries(SERVERS)) {
  for (const cause of ['the person', 'the deadline'] as const) {
    test(`${name}: a task cut off by ${cause} is cancelled at the agent`, async (t) => {
      const controller = new AbortController();
      let progress = 0;
      const server = await start(async (_question, working) => {
        working('looking');
        return new Promise<never>(() => {});
      });
      t.after(() => server.close());
      const more: Partial<AgentCall> = {
        onProgress() {
          progress++;
          if (cause === 'the person') controller.abort();
        },
        ...(cause === 'the person'
          ? { signal: controller.signal }
          : { deadlines: { connectMs: 2_000, firstByteMs: 5_000, totalMs: 1_000 } }),
      };
      failedWith(await ask(server.url, 'Hi', more), {
        code: cause === 'the person' ? 'agent_cancelled' : 'agent_timeout',
      });
      assert.ok(progress > 0);
      await until(() => server.cancelled.length === 1, { what: 'a cancelled task' });
    });
  }
}
