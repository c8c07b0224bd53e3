// What `npm test` runs under the pinned Node: the checks, then every test on one PostgreSQL, then the count.
// With arguments: only the test files named, without the checks.
import { glob, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { NAMES } from '../src/config/variables.ts';
import { prepareChromium } from '../test/support/chromium.ts';
import { buildConsole } from '../test/support/console-build.ts';
import { prepareTemplate, startTestServer } from '../test/support/server.ts';
import { describe, runChecks } from './check.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const TESTS = [
  'console/**/*.test.ts',
  'src/**/*.test.ts',
  'sdk/src/**/*.test.ts',
  'examples/**/*.test.ts',
  'test/**/*.test.ts',
];
/** Ends a test or a hook that hangs; the slowest ones start servers and kill them. */
const TEST_TIMEOUT_MS = 180_000;

type Tally = { passed: number; failed: number };

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());

process.chdir(root);
const nobodysFolder = await mkdtemp(join(tmpdir(), 'darkspere-test-'));
forgetSettings();
const tally: Tally = { passed: 0, failed: 0 };
const named = process.argv.slice(2);
try {
  await main();
} catch (error) {
  if (!interrupted.signal.aborted) {
    tally.failed += 1;
    console.log(inspect(error));
  }
}
await rm(nobodysFolder, { recursive: true, force: true });
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exit(interrupted.signal.aborted ? 130 : tally.failed > 0 || tally.passed === 0 ? 1 : 0);

/** What whoever runs this has set, or has in this folder since they started it, must decide no test. */
function forgetSettings(): void {
  for (const name of Object.keys(process.env)) {
    if ((NAMES as string[]).includes(name) || /^(AGENT_|REGISTRATION_)/.test(name)) delete process.env[name];
  }
  process.env.DARKSPERE_DATA_DIR = nobodysFolder;
  process.env.DARKSPERE_ENV_FILE = '';
}

async function main(): Promise<void> {
  const files = await filesFor(named.length > 0 ? named : TESTS);
  const server = await startTestServer();
  try {
    process.env.DARKSPERE_TEST_SERVER = server.url;
    if (named.length === 0) {
      await runChecks((result) => {
        count(result.ok);
        console.log(describe(result));
      });
    }
    // Once for all of them, not by two files at a time.
    if (files.some((file) => file.startsWith('test/browser/'))) await Promise.all([buildConsole(), prepareChromium()]);
    await runFiles(files, '');
    await runOnOtherServer(files);
  } finally {
    await server.stop();
  }
}

async function filesFor(patterns: string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    const before = found.size;
    for await (const file of glob(pattern, { exclude: (name) => name === 'node_modules' })) found.add(file);
    if (found.size === before) throw new Error(`No test file matches ${pattern}`);
  }
  return spread([...found].sort());
}

/** Files that keep a browser, and so the machine, busy among those that mostly wait for processes. */
function spread(files: string[]): string[] {
  const isIn = (folder: string) => (file: string) => file.startsWith(`test/${folder}/`);
  const browsers = files.filter(isIn('browser'));
  const waiting = files.filter(isIn('flow'));
  const others = files.filter((file) => !browsers.includes(file) && !waiting.includes(file));
  const apart = browsers.length / waiting.length;
  const mixed = waiting.flatMap((file, n) => [
    ...browsers.slice(Math.floor(n * apart), Math.floor((n + 1) * apart)),
    file,
  ]);
  return [...others, ...(waiting.length > 0 ? mixed : browsers)];
}

/** The database tests once more, on the server that TEST_DATABASE_URL names. */
async function runOnOtherServer(files: string[]): Promise<void> {
  const url = process.env.TEST_DATABASE_URL;
  if (url === undefined || url === '') return;
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const onDatabase = files.filter((_, index) => /support\/(database|world)\.ts/.test(texts[index]!));
  if (onDatabase.length === 0) return;
  await prepareTemplate(url);
  process.env.DARKSPERE_TEST_SERVER = url;
  await runFiles(onDatabase, ' on TEST_DATABASE_URL');
}

/** Runs each file in a process of its own, two at a time; one line per file, and all of what failed. */
async function runFiles(files: string[], where: string): Promise<void> {
  if (interrupted.signal.aborted) return;
  const stream = run({
    files,
    concurrency: 2,
    timeout: TEST_TIMEOUT_MS,
    execArgv: ['--import', new URL('../test/support/no-leftovers.ts', import.meta.url).href],
    signal: interrupted.signal,
  });
  const nameOf = (file: string | undefined) => relative(root, file ?? '');
  stream.on('test:pass', ({ name, file, details, skip, todo }) => {
    if (details.type === 'suite') return;
    // A test that does not run proves nothing, so it must not look as if it did.
    const ran = skip === undefined && todo === undefined;
    count(ran);
    if (!ran) console.log(`✖ ${nameOf(file)}: ${name} was skipped`);
  });
  stream.on('test:fail', ({ name, file, details }) => {
    if (details.type === 'suite' && 'failureType' in details.error && details.error.failureType === 'subtestsFailed')
      return;
    if (interrupted.signal.aborted) return;
    count(false);
    console.log(`✖ ${nameOf(file)}: ${name}\n${inspect(details.error.cause ?? details.error).replace(/^/gm, '    ')}`);
  });
  // What a file threw outside of its tests fails it as well; the counts at the end are of no file.
  stream.on('test:diagnostic', ({ message, file }) => {
    if (file !== undefined) console.log(`${nameOf(file)}: ${message}`);
  });
  stream.on('test:stderr', ({ message }) => process.stderr.write(message));
  stream.on('test:stdout', ({ message }) => process.stdout.write(message));
  stream.on('test:summary', ({ file, counts, duration_ms, success }) => {
    if (file === undefined) return;
    console.log(
      `${success ? '✔' : '✖'} ${nameOf(file)}${where}: ${counts.passed} of ${counts.tests} (${Math.round(duration_ms)} ms)`,
    );
  });
  stream.resume();
  await finished(stream);
}

function count(ok: boolean): void {
  tally[ok ? 'passed' : 'failed'] += 1;
}
