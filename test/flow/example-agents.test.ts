// The agents under examples/ as their readers run them: a process of their own that registers and is texted.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

describe('example agents', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  async function lineWith(t: TestContext, example: string) {
    const line = await world.line();
    const child = spawn(process.execPath, [join(import.meta.dirname, `../../examples/${example}/agent.ts`)], {
      env: {
        PATH: process.env.PATH ?? '',
        PORT: '0',
        REGISTRATION_URL: world.urls.agentRegistration ?? '',
        REGISTRATION_SECRET: world.registrationSecret,
        AGENT_TYPE: line.type,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    t.after(async () => {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    });
    await until(() => output.includes('ready at') || child.exitCode !== null, { what: 'the agent', timeoutMs: 30_000 });
    assert.equal(child.exitCode, null, output);
    await world.refreshAgents();
    return line;
  }

  const talk = async (line: Awaited<ReturnType<World['line']>>, texts: readonly string[]) => {
    const person = line.person();
    for (const text of texts) {
      await person.text(text);
      await line.story(person);
    }
    return person.texts().map(({ body }) => body);
  };

  test('mcp-agent keeps a list for each session', async (t) => {
    const line = await lineWith(t, 'mcp-agent');
    assert.deepEqual(await talk(line, ['add milk and bread', 'remove milk', 'hello']), [
      'On the list: milk, bread.',
      'On the list: bread.',
      'Text "add milk, bread", "remove milk", "list" or "clear".',
    ]);
    assert.deepEqual(await talk(line, ['list']), ['The list is empty.']);
  });

  test('a2a-agent asks back until it knows enough', async (t) => {
    const line = await lineWith(t, 'a2a-agent');
    assert.deepEqual(await talk(line, ['a table please', '4', '19:30', 'one for 2 at 8pm']), [
      'For how many people?',
      'At what time? For example 7:30.',
      'A table for 4 at 19:30. See you then!',
      'A table for 2 at 8pm. See you then!',
    ]);
  });
});
