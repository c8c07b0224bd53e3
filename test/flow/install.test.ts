import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { endChildWithUs } from '../support/left-behind.ts';
import { until } from '../support/until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { needsInstall } = (await import(new URL('../../bin/install.mjs', import.meta.url).href)) as {
  needsInstall(folder: string, options: { dev: boolean }): boolean;
};

type Packages = Record<string, { version?: string; dev?: boolean; optional?: boolean; link?: boolean }>;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkspere-install-test-'));
  await mkdir(join(folder, 'node_modules'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const WANTED: Packages = {
  '': { version: '1.0.0' },
  'node_modules/a': { version: '1.0.0' },
  'node_modules/tool': { version: '2.0.0', dev: true },
  'node_modules/native-other': { version: '3.0.0', optional: true },
  'node_modules/@own/package': { link: true },
};

async function arrange(wanted: Packages, present?: Packages): Promise<void> {
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages: wanted }));
  if (present === undefined) return;
  await writeFile(join(folder, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: present }));
}

const A = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/@own/package': { link: true } };
const TOOL = { 'node_modules/tool': { version: '2.0.0', dev: true } };

const CASES: [what: string, present: Packages | undefined, start: boolean, test: boolean][] = [
  ['nothing installed, or an install that was interrupted', undefined, true, true],
  ['everything, without the optional packages of other machines', { ...A, ...TOOL }, false, false],
  ['an install for production', A, false, true],
  ['a package of another version', { ...TOOL, 'node_modules/a': { version: '0.9.0' } }, true, true],
  ['a package missing', TOOL, true, true],
  ['a package of this repository not linked', { 'node_modules/a': { version: '1.0.0' }, ...TOOL }, true, true],
];

for (const [what, present, forStart, forTest] of CASES) {
  test(`${what}: npm start ${forStart ? 'installs' : 'goes on'}, npm test ${forTest ? 'installs' : 'goes on'}`, async () => {
    await arrange(WANTED, present);
    assert.equal(needsInstall(folder, { dev: false }), forStart);
    assert.equal(needsInstall(folder, { dev: true }), forTest);
  });
}

test('a package installed by somebody else, without a lockfile, is left alone', () => {
  assert.equal(needsInstall(folder, { dev: true }), false);
});

/**
 * A checkout whose npm is ours: it says when it begins, installs when there is a file `go`, and told to stop needs that as long
 * for taking back what it had begun.
 */
async function checkout() {
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages: WANTED }));
  await cp(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
  const npm = join(folder, 'npm-cli.js');
  await writeFile(
    npm,
    `const { appendFileSync, existsSync, writeFileSync } = require('node:fs');
    appendFileSync('begun', process.pid + ' ');
    process.on('SIGTERM', () => {});
    const done = () => writeFileSync('node_modules/.package-lock.json', ${JSON.stringify(JSON.stringify({ packages: A }))});
    setInterval(() => { if (existsSync('go')) { done(); process.exit(0); } }, 20);`,
  );
  const start = () => {
    const child = spawn(process.execPath, [join(folder, 'bin', 'darkspere.mjs'), '--version'], {
      env: { ...process.env, npm_execpath: npm, TMPDIR: folder },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    endChildWithUs(child);
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    return { child, exited: once(child, 'exit'), said: () => said };
  };
  const begun = async () => (await readFile(join(folder, 'begun'), 'utf8').catch(() => '')).split(' ').length - 1;
  return { start, begun, go: () => writeFile(join(folder, 'go'), '') };
}

test('an installation that is stopped is over when npm is: whoever starts again meanwhile waits for it', async () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const { start, begun, go } = await checkout();
    const first = start();
    await until(async () => (await begun()) === 1, { what: 'npm' });
    first.child.kill(signal);
    if (signal === 'SIGKILL') await first.exited;
    const second = start();
    await until(async () => second.said().includes('Waiting for another installation') || (await begun()) > 1);
    assert.equal(await begun(), 1);
    await go();
    if (signal === 'SIGTERM') assert.deepEqual(await first.exited, [143, null]);
    await second.exited;
    assert.equal(await begun(), 1);
    for (const name of ['begun', 'go', 'node_modules/.package-lock.json'])
      await rm(join(folder, name), { force: true });
  }
});

test('a mistyped test file fails the run, through every process between', () => {
  const { DARKSPERE_TEST_SERVER: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const run = spawnSync(process.execPath, [join(root, 'bin', 'test.mjs'), 'test/flow/no-such.test.ts'], {
    encoding: 'utf8',
    env,
  });
  assert.equal(run.status, 1);
  assert.match(run.stdout, /No test file matches test\/flow\/no-such\.test\.ts/);
  assert.equal(run.stdout.trimEnd().split('\n').at(-1), '0 passed, 1 failed');
});
