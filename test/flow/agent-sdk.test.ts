// Agents on the SDK, through the whole product: a text, an answer, and what happens when an agent is killed or stopped.
import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type Agent, AgentError, type AgentOptions, type ChatHandler, later, serveAgent } from '@darkspere/agent';
import { agentFolder, runAgent } from '../support/agent-program.ts';
import { freePort } from '../support/free-port.ts';
import { keyHolder } from '../support/operator.ts';
import { read } from '../support/source-tree.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const EXAMPLE = /^```ts\n([\s\S]*?)^```/m.exec(read('sdk/README.md'))?.[1] ?? '';
const PROTOCOLS = ['envelope', 'mcp', 'a2a'] as const;

/** Tells its test through its output when it was asked, and answers when it is told to through a file. */
const SLOW = `
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { serveAgent } from '@darkspere/agent';
await serveAgent({ name: 'slow', async chat({ message }) {
  console.log('asked ' + message);
  while (!existsSync('go')) await pause(10);
  return 'At last: ' + message;
} });`;

describe('agents on the SDK', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  const environment = (type: string) => ({
    PORT: '0',
    AGENT_TYPE: type,
    REGISTRATION_URL: world.urls.agentRegistration ?? '',
    REGISTRATION_SECRET: world.registrationSecret,
    DARKSPERE_URL: world.urls.gateway ?? '',
  });

  /** An agent in this process, and a line that it answers. */
  async function lineWith(t: TestContext, chat: ChatHandler, more: Partial<AgentOptions> = {}, settings = {}) {
    const line = await world.line(settings);
    const log: string[] = [];
    const agent: Agent = await serveAgent({
      name: 'in the test',
      chat,
      port: 0,
      type: line.type,
      registrationUrl: world.urls.agentRegistration ?? '',
      registrationSecret: world.registrationSecret,
      darkspereUrl: world.urls.gateway ?? '',
      stateFile: join(await agentFolder(t), 'state.json'),
      handleSignals: false,
      log: (_level, text) => void log.push(text),
      ...more,
    });
    t.after(() => agent.stop());
    await world.refreshAgents();
    return { line, agent, log };
  }

  const ask = async (line: Awaited<ReturnType<World['line']>>, texts: readonly string[], person = line.person()) => {
    for (const text of texts) {
      await person.text(text);
      await line.story(person);
    }
    return person.texts().map(({ body }) => body);
  };

  for (const protocol of PROTOCOLS) {
    test(`the example of the README registers itself and is texted over ${protocol}`, async (t) => {
      assert.ok(EXAMPLE.split('\n').length <= 11, 'ten lines');
      const line = await world.line();
      const cwd = await agentFolder(t, { 'agent.ts': EXAMPLE });
      await runAgent(t, { file: 'agent.ts', cwd, env: { ...environment(line.type), AGENT_PROTOCOL: protocol } });
      await world.refreshAgents();
      assert.deepEqual(await ask(line, ['hi', 'again']), ['Hello! You said: hi', 'You said: again']);
    });
  }

  test('its handlers hear of its sessions, a failure of theirs does no harm, and nobody else may call them', async (t) => {
    const heard: string[] = [];
    const { line, agent, log } = await lineWith(t, ({ message }) => ({ message, endSession: message === 'bye' }), {
      onSessionStart({ sessionId, conversationId, channel, startedAt }) {
        assert.ok(sessionId !== '' && conversationId !== null && startedAt instanceof Date);
        heard.push(`start over ${channel}`);
        throw new Error('of the handler');
      },
      async onSessionEnd({ endedAt, startedAt, reason }) {
        assert.ok(endedAt !== null && startedAt !== null && endedAt >= startedAt);
        heard.push(`end: ${reason}`);
      },
    });
    const person = line.person();
    assert.deepEqual(await ask(line, ['hello', 'bye'], person), ['hello', 'bye']);
    await until(() => heard.length === 2);
    assert.deepEqual(heard, ['start over sms', 'end: agent']);
    assert.ok(log.includes('onSessionStart failed: internal_error.'));

    const forged = JSON.stringify({
      type: 'session.end',
      message_id: 'x',
      payload: { session_id: 's', reason: 'idle' },
    });
    const headers = { 'content-type': 'application/json' };
    assert.equal((await fetch(agent.url, { method: 'POST', headers, body: forged })).status, 401);
    assert.equal(heard.length, 2);
  });

  test('an agent without such handlers is told of no sessions, and wrong ones are said at once', async (t) => {
    const { agent } = await lineWith(t, () => 'Hello.');
    const [plain] = await world.sql`select metadata from agent_registry where id = ${agent.agentId}`;
    assert.ok(!('session_events' in plain!.metadata));
    const serve = (more: object) => serveAgent({ name: 'wrong', chat: () => 'Hello.', port: 0, ...more });
    await assert.rejects(serve({ onSessionEnd: 'later' }), /onSessionEnd: a function\./);
    await assert.rejects(
      serve({ onSessionStart() {}, protocol: 'mcp' }),
      /over mcp; protocol \(AGENT_PROTOCOL\): envelope/,
    );
  });

  test('a port that is taken is said with what to do', async (t) => {
    const { agent } = await lineWith(t, () => 'Hello.');
    const port = Number(new URL(agent.url).port);
    await assert.rejects(serveAgent({ name: 'second', chat: () => 'Hello.', port }), {
      code: 'EADDRINUSE',
      message: `Port ${port} of 127.0.0.1 is taken: name another one with PORT, or \`port\` (0 is any free one).`,
    });
  });

  for (const protocol of PROTOCOLS) {
    test(`${protocol}: what is streamed is one text, and a failure moves on to another agent`, async (t) => {
      const { line } = await lineWith(
        t,
        async function* ({ message }) {
          if (message === 'fail') throw new AgentError('no_idea', 'It does not know.');
          yield 'You said';
          yield `: ${message}`;
        } as ChatHandler,
        { protocol },
      );
      assert.deepEqual(await ask(line, ['hi']), ['You said: hi']);
      const other = await line.agent(() => 'The other one.', { capabilities: ['chat'] });
      assert.deepEqual(await ask(line, ['fail']), ['The other one.']);
      assert.equal(other.calls.length, 1);
    });

    test(`${protocol}: an only agent that is full with somebody else’s work is asked again until it has room`, async (t) => {
      const go = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const token = 'a-token-of-somebody-else';
      const { line, agent } = await lineWith(
        t,
        async ({ message }) => {
          if (message === 'theirs') {
            begun.resolve();
            await go.promise;
          }
          return `You said: ${message}`;
        },
        { protocol, maxConcurrentSessions: 1, tokens: [token] },
      );
      const theirs = fetch(`${agent.url}/mcp`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: { name: 'chat', arguments: { message: 'theirs' } },
        }),
      });
      await begun.promise;
      const person = line.person();
      await person.text('mine');
      const { id } = await line.conversation(person);
      await until(
        () =>
          world.sql`select 1 from agent_registry where id = ${agent.agentId} and last_failure_at is not null`.then(
            (rows) => rows.length,
          ),
        { what: 'the refusal' },
      );
      go.resolve();
      await (await theirs).text();
      assert.equal((await person.next()).body, 'You said: mine');
      const calls =
        await world.sql`select error_code from exchanges where conversation_id = ${id} and kind = 'agent' order by id`;
      assert.deepEqual([calls[0]!.error_code, calls.at(-1)!.error_code], ['agent_busy', null]);
    });

    test(`${protocol}: a newer text aborts the signal of the call that it interrupts`, async (t) => {
      const aborted: unknown[] = [];
      const { line } = await lineWith(
        t,
        async ({ message, signal }) => {
          if (message !== 'one') return `Both: ${message}`;
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          aborted.push((signal.reason as AgentError).code);
          throw signal.reason;
        },
        { protocol },
        { busy_policy: 'interrupt' },
      );
      const person = line.person();
      await person.text('one');
      const { id } = await line.conversation(person);
      await until(() =>
        world.sql`select 1 from conversations where id = ${id} and running_turn is not null`.then(
          (rows) => rows.length,
        ),
      );
      // Until the id of a task has arrived, which nothing outside can see, there is nothing to cancel.
      await new Promise((resolve) => setTimeout(resolve, 500));
      await person.text('two');
      await line.story(person);
      assert.deepEqual(
        person.texts().map(({ body }) => body),
        ['Both: one\ntwo'],
      );
      await until(() => aborted.length, { what: 'the abort' });
      assert.deepEqual(aborted, ['cancelled']);
    });
  }

  test('an answer promised for later is posted, once, and a text of its own follows it', async (t) => {
    const { line, agent } = await lineWith(t, ({ message, conversationId }) =>
      later(
        (async () => {
          await until(() =>
            world.sql`select 1 from turns where conversation_id = ${conversationId} and state = 'deferred'`.then(
              (rows) => rows.length,
            ),
          );
          return { message: `Later: ${message}` };
        })(),
      ),
    );
    const person = line.person();
    await person.text('think');
    await until(() => person.texts().length === 1, { what: 'the late answer' });
    const { conversation } = await line.story(person);
    const sent = [1, 2].map(() => agent.post(conversation.id, 'And one more thing.', { idempotencyKey: 'more' }));
    assert.equal(new Set((await Promise.all(sent)).map(({ id }) => id)).size, 1);
    await line.story(person);
    assert.deepEqual(
      person.texts().map(({ body }) => body),
      ['Later: think', 'And one more thing.'],
    );
    await assert.rejects(agent.post('018f0000-0000-7000-8000-000000000000', 'Hello?'), { code: 'not_found' });
  });

  test('killed and started again it is the same agent, with its key and its secret', async (t) => {
    const line = await world.line();
    const cwd = await agentFolder(t, { 'agent.ts': EXAMPLE });
    const run = { file: 'agent.ts', cwd, env: { ...environment(line.type), PORT: String(await freePort()) } };
    const ids = () => world.sql`select id, status from agent_registry where type = ${line.type}`;
    const first = await runAgent(t, run);
    await world.refreshAgents();
    const person = line.person();
    await ask(line, ['one'], person);
    const before = await ids();
    await first.kill('SIGKILL');
    // It needs no secret any more: it knows its place.
    const { REGISTRATION_SECRET: _, ...without } = run.env;
    const second = await runAgent(t, { ...run, env: without });
    assert.deepEqual(await ids(), before);
    assert.equal(before.length, 1);
    assert.match(second.output(), new RegExp(`registered as ${before[0]!.id}`));
    assert.deepEqual(await ask(line, ['two'], person), ['Hello! You said: one', 'You said: two']);
  });

  test('an agent whose place is gone takes a new one', async (t) => {
    const line = await world.line();
    const cwd = await agentFolder(t, { 'agent.ts': EXAMPLE });
    const run = { file: 'agent.ts', cwd, env: environment(line.type) };
    await (await runAgent(t, run)).kill('SIGKILL');
    await world.sql`update agent_registry set status = 'deactivated' where type = ${line.type}`;
    await runAgent(t, run);
    const rows = await world.sql`select status from agent_registry where type = ${line.type} order by id`;
    assert.deepEqual(
      rows.map(({ status }) => status),
      ['deactivated', 'active'],
    );
    await world.refreshAgents();
    assert.deepEqual(await ask(line, ['hi']), ['Hello! You said: hi']);
  });

  test('an agent that an operator deactivates while it runs stays out, until it is brought back', async (t) => {
    const { line, agent, log } = await lineWith(t, ({ message }) => `You said: ${message}`, { heartbeatMs: 50 });
    const person = line.person();
    assert.deepEqual(await ask(line, ['one'], person), ['You said: one']);
    const { call: operator } = await keyHolder(world, ['read', 'write']);
    const at = `/v1/agents/${agent.agentId}`;
    assert.equal((await operator('POST', `${at}/deactivate`)).status, 200);
    await until(() => log.some((words) => words.includes('was deactivated')), { what: 'the word of it' });
    const agents = await world.sql`select id, status from agent_registry where type = ${line.type}`;
    assert.deepEqual(
      agents.map(({ status }) => status),
      ['deactivated'],
    );
    assert.equal((await operator('POST', `${at}/activate`)).status, 200);
    await world.refreshAgents();
    assert.deepEqual((await ask(line, ['two'], person)).at(-1), 'You said: two');
    const [row] = await world.sql`select last_heartbeat_at as at from agent_registry where id = ${agent.agentId}`;
    await until(
      () =>
        world.sql`select 1 from agent_registry where id = ${agent.agentId} and last_heartbeat_at > ${row!.at}`.then(
          (rows) => rows.length,
        ),
      { what: 'a heartbeat' },
    );
  });

  test('told to stop, by the terminal and once more by npm, it answers what runs, takes nothing new, and ends well', async (t) => {
    const line = await world.line();
    const cwd = await agentFolder(t, { 'agent.ts': SLOW });
    const agent = await runAgent(t, { file: 'agent.ts', cwd, env: environment(line.type) });
    await world.refreshAgents();
    const person = line.person();
    await person.text('hi');
    await until(() => agent.output().includes('asked hi'), { what: 'the question' });
    const gone = agent.kill('SIGINT');
    await until(() => agent.output().includes('stopping'), { what: 'the first signal' });
    agent.child.kill('SIGINT');
    await until(async () => (await fetch(`${agent.url}/ready`)).status === 503, { what: 'the drain' });
    await writeFile(join(cwd, 'go'), '');
    assert.equal(await gone, 0);
    await line.story(person);
    assert.deepEqual(
      person.texts().map(({ body }) => body),
      ['At last: hi'],
    );
  });

  test('a wrong secret is said at once, in words of Darkspere', async (t) => {
    const cwd = await agentFolder(t, { 'agent.ts': EXAMPLE });
    const env = { ...environment('chat'), REGISTRATION_SECRET: 'wrong-wrong-wrong-wrong' };
    await assert.rejects(runAgent(t, { file: 'agent.ts', cwd, env }), /registration_secret_invalid/);
  });

  test('what it keeps is closed to others and left out of git', async (t) => {
    const line = await world.line();
    const cwd = await agentFolder(t, { 'agent.ts': EXAMPLE });
    await runAgent(t, { file: 'agent.ts', cwd, env: environment(line.type) });
    const folder = join(cwd, '.darkspere-agent');
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    assert.equal((await stat(join(folder, 'echo.json'))).mode & 0o777, 0o600);
    assert.equal(await readFile(join(folder, '.gitignore'), 'utf8'), '*\n');
  });
});
