// What others install: the packages hold what they need and no more, install without a network, and run.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { runAgent } from '../support/agent-program.ts';
import { startModelServer } from '../support/model-server.ts';
import { installPacked, linkPackages, type Packed, say } from '../support/packed.ts';
import { install, OUR_NUMBER, runProgram } from '../support/program.ts';
import { blocks, conversations } from '../support/readme.ts';
import { startRegistry } from '../support/registry.ts';
import { ROOT, read } from '../support/source-tree.ts';
import { until } from '../support/until.ts';

const TEMPLATES = ['mock', 'llm', 'mcp', 'a2a', 'wrap'];
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const SDK_TARBALL = `darkspere-agent-${JSON.parse(read('sdk/package.json')).version}.tgz`;
const EXAMPLE = blocks('sdk/README.md', 'ts')[0] ?? '';

let packed: Packed;
let work: string;
before(async () => {
  work = await mkdtemp(join(tmpdir(), 'darkspere-created-'));
  packed = await installPacked();
});
after(async () => {
  await packed?.remove();
  await rm(work, { recursive: true, force: true });
});

/** Makes an agent in a folder of this test, as `npx create-darkspere-agent` would. */
async function create(args: readonly string[]) {
  const bin = join(packed.folder, 'node_modules/.bin/create-darkspere-agent');
  return say(bin, args, work);
}

describe('the packed packages', () => {
  it('hold what they need and no more', async () => {
    const inside = async (tarball: string) =>
      (await say('tar', ['tzf', tarball], work)).said
        .trim()
        .split('\n')
        .map((path) => path.replace('package/', ''));
    const [sdk, creator] = await Promise.all(packed.tarballs.map(inside));
    const odd = sdk!.filter((path) => !/^dist\/[a-z0-9-]+(\.d\.ts|\.js)$/.test(path));
    assert.deepEqual(odd.sort(), ['README.md', 'package.json']);
    assert.deepEqual(
      creator!.filter((path) => !/^(dist\/[a-z-]+\.js|templates\/[a-z0-9]+-agent\/[\w.-]+)$/.test(path)).sort(),
      ['README.md', 'package.json', SDK_TARBALL].map((file) => (file === SDK_TARBALL ? `templates/${file}` : file)),
    );
    const templates = new Set(creator!.flatMap((path) => /^templates\/(\w+)-agent\//.exec(path)?.[1] ?? []));
    assert.deepEqual([...templates].sort(), TEMPLATES.toSorted());
  });

  it('bring few others along', async () => {
    const lock = JSON.parse(await readFile(join(packed.folder, 'package-lock.json'), 'utf8'));
    const names = Object.keys(lock.packages).filter((path) => path.startsWith('node_modules/'));
    assert.ok(names.length <= 16, names.join(' '));
  });

  it('run the example of the README, and the types of all examples are right', async (t) => {
    await writeFile(join(packed.folder, 'agent.ts'), EXAMPLE);
    const others = ['README.md', 'docs/guide/agents.md'].flatMap((page) => blocks(page, 'ts'));
    assert.equal(others.length, 2);
    for (const [n, text] of others.entries()) await writeFile(join(packed.folder, `other-${n}.ts`), text);
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--skipLibCheck'];
    const types = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node'];
    const { code, said } = await say(
      process.execPath,
      [TSC, ...options, ...types, 'agent.ts', 'other-0.ts', 'other-1.ts'],
      packed.folder,
    );
    assert.equal(code, 0, said);
    const { url, output } = await runAgent(t, { cwd: packed.folder, env: { PORT: '0', DARKSPERE_DATA_DIR: work } });
    assert.match(output(), /UNSIGNED/);
    const body = JSON.stringify({ type: 'chat.request', message_id: 'm', payload: { session_id: 's', message: 'hi' } });
    const answer = (await (await fetch(url, { method: 'POST', body })).json()) as { payload: { message: string } };
    assert.equal(answer.payload.message, 'Hello! You said: hi');
  });
});

describe('create-darkspere-agent', () => {
  it('says what comes next, and leaves nothing open', async () => {
    const { code, said } = await create(['--name', 'first', '--template', 'mock']);
    assert.equal(code, 0, said);
    const commands = said.split('\n').filter((line) => line.startsWith('  '));
    assert.deepEqual(commands, [
      '  cd first && npm install',
      '  npm start',
      '  npx darkspere numbers set +15550001111 --agent-type first',
    ]);
    const folder = join(work, 'first');
    const made = ['.env', '.gitignore', 'README.md', 'agent.ts', SDK_TARBALL, 'package.json', 'tsconfig.json'];
    assert.deepEqual((await readdir(folder)).sort(), made);
    assert.equal((await stat(join(folder, '.env'))).mode & 0o777, 0o600);
    const { name, dependencies } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    assert.deepEqual([name, dependencies['@darkspere/agent']], ['first', `file:${SDK_TARBALL}`]);
  });

  it('refuses a folder that is not empty, and changes nothing in it', async () => {
    await mkdir(join(work, 'taken'));
    await writeFile(join(work, 'taken', 'mine.txt'), 'mine');
    const { code, said } = await create(['taken']);
    assert.deepEqual([code, await readdir(join(work, 'taken'))], [1, ['mine.txt']]);
    assert.match(said, /taken is not empty \(mine\.txt\)/);
    await writeFile(join(work, 'a-file'), '');
    assert.match((await create(['a-file'])).said, /something else is in its place/);
  });

  it('takes an empty folder, with the .git of a fresh repository', async () => {
    await mkdir(join(work, 'fresh', '.git'), { recursive: true });
    assert.equal((await create(['fresh'])).code, 0);
  });

  it('makes the same in the repository, where nothing is packed', async () => {
    const main = join(ROOT, 'create-darkspere-agent/src/main.ts');
    assert.equal((await say(process.execPath, [main, 'second'], work)).code, 0);
    const sources = await Promise.all(
      ['first', 'second'].map((name) => readFile(join(work, name, 'agent.ts'), 'utf8')),
    );
    // The name under which each registers is all that differs.
    assert.match(sources[0]!, /serveAgent\(\{\n {2}name: 'first',/);
    assert.equal(sources[0]!.replace("'first'", "'second'"), sources[1]);
    // No registry has the SDK, so `npm install` must find it without.
    const { dependencies } = JSON.parse(await readFile(join(work, 'second', 'package.json'), 'utf8'));
    const [kind, where] = dependencies['@darkspere/agent'].split(':');
    assert.deepEqual([kind, resolve(work, 'second', where)], ['file', join(ROOT, 'sdk')]);
  });

  it('names what is wrong with a command line, without a stack', async () => {
    const wrong: [string[], RegExp][] = [
      [[], /--name: A name is needed/],
      [['../up'], /--name: Small letters/],
      [['My Agent'], /--name: Small letters/],
      [['-x'], /-x/],
      [['.'], /--name: Small letters/],
      [['a'.repeat(51)], /--name: At most 50/],
      [['node-modules'], /a meaning of its own/],
      [['good', 'second'], /One name is enough/],
      [['good', '--template', 'crystal'], /there is no "crystal"\. mock, llm/],
      [['good', '--template', 'toString'], /there is no "toString"/],
      [['good', '--frobnicate'], /frobnicate/],
    ];
    for (const [args, expected] of wrong) {
      const { code, said } = await create(args);
      assert.deepEqual([code, expected.test(said), /\n\s+at /.test(said)], [1, true, false], `${args}: ${said}`);
    }
    assert.ok(!(await readdir(work)).includes('good'));
    assert.match((await create(['--help'])).said, /create-darkspere-agent \[NAME\]/);
  });
});

test('the printed installation works anywhere: the SDK into a folder of one’s own, and what create-darkspere-agent makes', async (t) => {
  const registry = await startRegistry(packed.theirs);
  t.after(() => registry.close());
  const cwd = await mkdtemp(join(tmpdir(), 'darkspere-anywhere-'));
  t.after(() => rm(cwd, { recursive: true, force: true }));
  const env = {
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    npm_config_registry: registry.url,
    npm_config_cache: join(cwd, '.cache'),
    // The types that editors look with are large; running needs none of them.
    npm_config_omit: 'dev',
  };
  const steps = async (commands: string, folder: string) => {
    const { code, said } = await say('sh', ['-ec', commands], folder, env);
    assert.equal(code, 0, said);
    return said;
  };
  const printed = blocks('sdk/README.md', 'sh').find((block) => block.includes('npm pkg set type=module')) ?? '';
  await steps(printed.replaceAll('/tmp/darkspere-packages', dirname(packed.tarballs[0]!)), cwd);
  await writeFile(join(cwd, 'agent.ts'), EXAMPLE);
  const alone = { PORT: '0', DARKSPERE_DATA_DIR: work };
  const { url } = await runAgent(t, { cwd, env: alone });
  const body = JSON.stringify({ type: 'chat.request', message_id: 'm', payload: { session_id: 's', message: 'hi' } });
  assert.match(await (await fetch(url, { method: 'POST', body })).text(), /Hello! You said: hi/);

  const said = await steps('npx create-darkspere-agent elsewhere --template mock', cwd);
  await steps(/^ {2}(cd elsewhere .*)$/m.exec(said)?.[1] ?? 'false', cwd);
  await runAgent(t, { command: 'npm start', cwd: join(cwd, 'elsewhere'), env: { PATH: env.PATH, ...alone } });
});

test('every template, created, is texted through a Darkspere', async (t) => {
  const installation = await install(t, { external: true });
  const program = await installation.start();
  const model = await startModelServer(({ body }) => `A model heard: ${body.messages.at(-1)?.content}`);
  t.after(() => model.close());

  for (const [n, template] of TEMPLATES.entries()) {
    await t.test(template, async (t) => {
      const name = `made-of-${template}`;
      assert.equal((await create([name, '--template', template])).code, 0);
      const cwd = join(work, name);
      await linkPackages(cwd, packed);
      const checked = await say('npm', ['run', 'check', '--silent'], cwd);
      assert.equal(checked.code, 0, checked.said);
      await runAgent(t, {
        command: 'npm start',
        cwd,
        env: {
          PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
          PORT: '0',
          REGISTRATION_URL: program.urls.agents,
          REGISTRATION_SECRET: installation.env.REGISTRATION_SECRET ?? '',
          OPENAI_BASE_URL: model.url,
        },
      });
      const { exited, output } = runProgram(['numbers', 'set', OUR_NUMBER, '--agent-type', name], installation.env);
      assert.equal((await exited).code, 0, output());
      const [told = { texts: ['hi'], replies: ['A model heard: hi'] }] = conversations(
        `examples/${template}-agent/README.md`,
      );
      const phone = `+155505000${n}0`;
      for (const [count, text] of told.texts.entries()) {
        await installation.textForSure(phone, text);
        await until(() => installation.sent(phone).length > count, {
          what: `an answer to "${text}"`,
          timeoutMs: 20_000,
        });
      }
      assert.deepEqual(installation.sent(phone), told.replies);
    });
  }
});
