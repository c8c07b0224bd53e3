// The agents under examples/ as their readers run them: the commands of their READMEs, and the conversations there.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runAgent } from '../support/agent-program.ts';
import { startModelServer } from '../support/model-server.ts';
import { type Installation, install, type Program, runProgram } from '../support/program.ts';
import { commands, conversations } from '../support/readme.ts';
import { ROOT } from '../support/source-tree.ts';
import { until } from '../support/until.ts';

const EXAMPLES = ['mock-agent', 'wrap-agent', 'mcp-agent', 'a2a-agent'];
let phones = 0;
const newPhone = () => `+1555040${String(phones++).padStart(4, '0')}`;

test('examples', async (t) => {
  const installation = await install(t, { external: true });
  const program = await installation.start();

  for (const example of EXAMPLES) {
    await t.test(`${example} does what its README says`, async (t) => {
      await follow(t, example, installation, program);
      const told = conversations(`examples/${example}/README.md`);
      assert.ok(told.length > 0);
      for (const { texts, replies } of told) assert.deepEqual(await talk(installation, texts), replies);
    });
  }

  await t.test('llm-agent asks the model, with what was said before', async (t) => {
    const model = await startModelServer(({ body }) => `<think>Hm.</think> ${body.messages.length} messages`);
    t.after(() => model.close());
    await follow(t, 'llm-agent', installation, program, { OPENAI_API_KEY: 'sk-test' }, model.url);
    assert.deepEqual(await talk(installation, ['hi', 'and now?']), ['2 messages', '4 messages']);
    const { path, authorization, body } = model.asked.at(-1)!;
    assert.deepEqual([path, authorization, body.model], ['/v1/chat/completions', 'Bearer sk-test', 'llama3.2']);
    assert.match(body.messages[0]!.content, /At most \d+ characters/);
    const said = body.messages.slice(1).map(({ role, content }) => `${role}: ${content}`);
    assert.deepEqual(said, ['user: hi', 'assistant: 2 messages', 'user: and now?']);
  });

  await t.test('llm-agent has a busy model asked once more', async (t) => {
    let isBusy = true;
    const model = await startModelServer(() => {
      const said = isBusy ? 503 : 'Here again.';
      isBusy = false;
      return said;
    });
    t.after(() => model.close());
    await follow(t, 'llm-agent', installation, program, {}, model.url);
    assert.deepEqual(await talk(installation, ['hi']), ['Here again.']);
    assert.equal(model.asked[0]!.authorization, undefined);
  });

  await t.test('an example without the secret says what is missing', async (t) => {
    const cwd = join(ROOT, 'examples/mcp-agent');
    const env = {
      PORT: '0',
      DARKSPERE_DATA_DIR: installation.dataDir,
      AGENT_STATE: join(installation.dataDir, 'none'),
    };
    const { output } = await runAgent(t, { file: 'agent.ts', cwd, env });
    assert.match(output(), /is not registered\. Set REGISTRATION_SECRET/);
  });
});

/** Runs the commands of an example’s README, in the order in which they stand there. */
async function follow(
  t: TestContext,
  example: string,
  { env, dataDir }: Installation,
  program: Program,
  more: Readonly<Record<string, string>> = {},
  modelUrl?: string,
) {
  const told = commands(`examples/${example}/README.md`);
  const [ours, theirs] = [
    told.filter((line) => line.startsWith('npx darkspere ')),
    told.filter((line) => line.endsWith('npm start')),
  ];
  assert.deepEqual([...ours, ...theirs], told, 'a command that this test does not run');
  for (const line of ours) {
    const { exited, output } = runProgram(line.split(' ').slice(2), env);
    assert.equal((await exited).code, 0, output());
  }
  const environment = {
    // `npm start` runs the node it finds.
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    PORT: '0',
    REGISTRATION_URL: program.urls.agents,
    REGISTRATION_SECRET: env.REGISTRATION_SECRET ?? '',
    DARKSPERE_URL: program.urls.gateway,
    AGENT_STATE: join(dataDir, `${example}-${phones++}.json`),
    ...more,
  };
  for (const line of theirs) {
    const command = line.replace('http://127.0.0.1:11434/v1', modelUrl ?? '');
    await runAgent(t, { command, cwd: join(ROOT, 'examples', example), env: environment });
  }
}

async function talk({ textForSure, sent }: Installation, texts: readonly string[]): Promise<string[]> {
  const phone = newPhone();
  for (const [n, text] of texts.entries()) {
    await textForSure(phone, text);
    await until(() => sent(phone).length > n, { what: `an answer to "${text}"`, timeoutMs: 20_000 });
  }
  return sent(phone);
}
