// However Darkspere ends, nothing of it runs on; and what nobody reads does not end it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isAlive, readPidFile } from '../../src/database/embedded/postmaster.ts';
import { endChildWithUs } from '../support/left-behind.ts';
import { install, NOBODYS, runProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

const serverOf = (dataDir: string) => readPidFile(join(dataDir, 'postgres', 'data'))?.pid;

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} in the middle of a start: its PostgreSQL ends with it, and the next start is not in its way`, async (t) => {
    const place = await install(t, { external: false });
    const { child, exited, output } = runProgram(['start'], place.env);
    const pid = await until(() => serverOf(place.dataDir), { what: 'a PostgreSQL that starts', timeoutMs: 60_000 });
    child.kill(signal);
    assert.deepEqual(await exited, { code, signal: null }, output());
    await until(() => !isAlive(pid), { what: 'the end of PostgreSQL', timeoutMs: 30_000 });
    await (await place.start()).kill('SIGTERM');
  });
}

/** A Darkspere whose every line is refused as by a full disk. */
async function startUnread(t: TestContext, env: Readonly<Record<string, string>>) {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [MAIN, 'start'], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...NOBODYS, ...env },
    stdio: ['ignore', full, full],
  });
  closeSync(full);
  endChildWithUs(child);
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const answers = () =>
    fetch(`${env.PUBLIC_URL}/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(async () => child.exitCode !== null || (await answers()), { what: 'the start', timeoutMs: 60_000 });
  return { child, exited, answers };
}

// Only Linux has such a file.
const skip = existsSync('/dev/full') ? false : 'no /dev/full';
for (const format of ['json', 'pretty']) {
  test(`a full disk under its log (${format}) costs lines: it starts, answers, stops when it is told to, and its end does not hang`, {
    skip,
  }, async (t) => {
    const place = await install(t, { external: false, env: { LOG_LEVEL: 'trace', DARKSPERE_LOG_FORMAT: format } });
    const { child, exited, answers } = await startUnread(t, place.env);
    assert.ok(await answers());
    const person = place.simulator.person('+15550510001');
    assert.equal((await person.text('hello')).status, 200);
    await until(() => place.sent(person.phone).length > 0, { what: 'an answer', timeoutMs: 30_000 });
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
  });
}

test('SIGHUP without a terminal is none of its business: what was started with nohup goes on', async (t) => {
  const place = await install(t, { external: true });
  const program = await place.start();
  program.child.kill('SIGHUP');
  await place.agent(program, () => 'Still here.');
  const person = place.simulator.person('+15550510002');
  await person.text('hello');
  assert.equal((await person.next()).body, 'Still here.');
  await program.kill('SIGTERM');
  assert.deepEqual(await program.exited, { code: 0, signal: null });
});
