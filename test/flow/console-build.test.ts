// Building the console before the program starts: when, and what is left behind by whoever interrupts it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { consoleIsStale, consoleHash, servesConsole } = (await import(
  new URL('../../bin/console.mjs', import.meta.url).href
)) as {
  consoleIsStale(root: string): boolean;
  consoleHash(root: string): string;
  servesConsole(args: readonly string[]): boolean;
};

/** A checkout with the smallest console there can be. */
async function checkout(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'darkspere-checkout-'));
  t.after(() => rm(root, { recursive: true, force: true, maxRetries: 5 }));
  for (const path of [
    'bin',
    'scripts',
    'src/errors.ts',
    'src/http/contract.ts',
    'src/http/contract',
    'package-lock.json',
    'package.json',
  ])
    await cp(join(ROOT, path), join(root, path), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  await mkdir(join(root, 'console'));
  await writeFile(
    join(root, 'console/vite.config.ts'),
    `export default { root: import.meta.dirname, configLoader: 'native' };\n`,
  );
  await writeFile(join(root, 'console/index.html'), '<!doctype html><script type="module" src="/main.ts"></script>');
  await writeFile(
    join(root, 'console/main.ts'),
    `document.body.textContent = ${JSON.stringify('hello '.repeat(400))};\n`,
  );
  return root;
}

function build(root: string) {
  const child = spawn(process.execPath, ['scripts/console.ts'], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return { child, said: () => said, ended: once(child, 'close').then(([code]) => code as number | null) };
}

const leftovers = async (root: string) =>
  (await readdir(join(root, 'console'))).filter((name) => name.startsWith('.build'));

describe('the build of the console', { concurrency: 1 }, () => {
  test('happens when its sources changed, and not again', async (t) => {
    const root = await checkout(t);
    assert.equal(consoleIsStale(root), true);
    const first = build(root);
    assert.equal(await first.ended, 0, first.said());
    assert.match(first.said(), /The console is built \(\d+\.\d s\)/);
    assert.equal(consoleIsStale(root), false);
    const assets = await readdir(join(root, 'console/dist/assets'));
    assert.deepEqual(assets.map((name) => name.replace(/-[\w-]{8}\./, '-HASH.')).sort(), [
      'index-HASH.js',
      'index-HASH.js.br',
      'index-HASH.js.gz',
    ]);
    assert.equal((await readFile(join(root, 'console/dist/.built'), 'utf8')).trim(), consoleHash(root));
    for (const path of ['console/main.ts', 'src/http/contract/phone.ts', 'package-lock.json']) {
      await writeFile(join(root, path), `${await readFile(join(root, path), 'utf8')}\n`);
      assert.equal(consoleIsStale(root), true, path);
      await writeFile(join(root, 'console/dist/.built'), consoleHash(root));
    }
    await rm(join(root, 'console/vite.config.ts'));
    assert.equal(consoleIsStale(root), false, 'a package has no sources');
    assert.deepEqual(await leftovers(root), []);
  });

  test('that fails leaves the one before, and says why', async (t) => {
    const root = await checkout(t);
    assert.equal(await build(root).ended, 0);
    await writeFile(join(root, 'console/main.ts'), `import './missing.ts';\n`);
    const second = build(root);
    assert.equal(await second.ended, 1);
    assert.match(second.said(), /could not be built.*The one before is served[\s\S]*missing/);
    assert.ok((await readdir(join(root, 'console/dist'))).includes('index.html'));
    assert.equal(consoleIsStale(root), true);
    assert.deepEqual(await leftovers(root), []);
  });

  test('two at once, and one that is killed, leave a whole console behind', async (t) => {
    const root = await checkout(t);
    const killed = build(root);
    await until(() => leftovers(root).then(({ length }) => length > 0 || killed.child.exitCode !== null));
    killed.child.kill('SIGKILL');
    await killed.ended;
    const both = [build(root), build(root)];
    assert.deepEqual(
      await Promise.all(both.map(({ ended }) => ended)),
      [0, 0],
      both.map(({ said }) => said()).join('\n'),
    );
    assert.ok((await readdir(join(root, 'console/dist'))).includes('index.html'));
    assert.deepEqual(await leftovers(root), []);
  });

  test('is asked for by commands that serve it, and by no other', () => {
    const cases: [string[], boolean][] = [
      [['start'], true],
      [['start', 'worker', 'gateway'], true],
      [['start', 'worker'], false],
      [['text', 'start'], false],
      [[], false],
    ];
    for (const [args, expected] of cases) assert.equal(servesConsole(args), expected, args.join(' '));
  });
});
