// A test run that is killed leaves nothing behind: no server, no process, no files.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.ts';

const RUN = fileURLToPath(new URL('../support/server-process.ts', import.meta.url));

test('killed with SIGKILL: its server and what it had started end, and its files are gone', async (t) => {
  const temporary = await mkdtemp(join(tmpdir(), 'darkspere-killed-'));
  t.after(() => rm(temporary, { recursive: true, force: true }));
  const run = spawn(process.execPath, [RUN], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: temporary },
  });
  const [line] = (await once(createInterface({ input: run.stdout! }), 'line')) as [string];
  const pids = Object.values(JSON.parse(line) as Record<string, number>);
  assert.equal(pids.length, 2);
  assert.ok(pids.every(isAlive));
  run.kill('SIGKILL');
  await once(run, 'exit');
  await until(() => !pids.some(isAlive), { what: 'the end of what it had started', timeoutMs: 20_000 });
  await until(async () => (await readdir(temporary)).length === 0, { what: 'its files gone', timeoutMs: 20_000 });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
