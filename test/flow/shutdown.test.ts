// Stopping, and not being able to start: nothing is lost, and the message says what to do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { install, runProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const phone = (n: number) => `+1555050${String(n).padStart(4, '0')}`;

describe('shutdown', () => {
  test('SIGTERM with fifty turns in flight: not ready, out in time with 0, and the next start answers each once', async (t) => {
    const place = await install(t, { external: true, env: { DARKSPERE_SHUTDOWN_MS: '2000' } });
    const first = await place.start();
    const gate = Promise.withResolvers<void>();
    const agent = await place.agent(first, async ({ message }) => {
      await gate.promise;
      return `You said ${message}`;
    });
    const people = Array.from({ length: 50 }, (_, n) => place.simulator.person(phone(n)));
    await Promise.all(people.map((person, n) => person.text(`hello ${n}`)));
    await until(() => agent.calls.length === people.length);

    const askedMs = performance.now();
    first.child.kill('SIGTERM');
    await until(async () => (await fetch(`${first.urls.worker}/ready`)).status === 503, {
      what: 'readiness going off',
    });
    const { reasons } = (await (await fetch(`${first.urls.gateway}/ready`)).json()) as { reasons: string[] };
    assert.deepEqual(reasons, ['stopping']);
    // A text that comes now is still taken: the carrier does not ask about readiness.
    assert.equal((await people[0]!.text('one more')).status, 200);
    assert.deepEqual(await first.exited, { code: 0, signal: null });
    assert.ok(performance.now() - askedMs < 10_000, 'it took far longer than DARKSPERE_SHUTDOWN_MS');
    assert.equal(place.simulator.messages().filter(({ direction }) => direction === 'outbound-api').length, 0);

    gate.resolve();
    await place.start();
    const answers = await Promise.all(people.map((person) => person.next(undefined, 20_000)));
    for (const [n, answer] of answers.entries()) {
      const expected =
        n === 0 ? /^You said hello 0\n(one more)$|^You said hello 0$/ : new RegExp(`^You said hello ${n}$`);
      assert.match(answer.body, expected);
    }
    await until(() => place.sent(people[0]!.phone).join('\n').includes('one more'));
    for (const person of people.slice(1)) assert.equal(place.sent(person.phone).length, 1);
  });

  test('a turn that ends within the time is answered before the process goes', async (t) => {
    const place = await install(t, { external: true });
    const program = await place.start();
    const gate = Promise.withResolvers<string>();
    const agent = await place.agent(program, () => gate.promise);
    const person = place.simulator.person(phone(100));
    await person.text('hello');
    await until(() => agent.calls.length === 1);
    program.child.kill('SIGTERM');
    await until(async () => (await fetch(`${program.urls.worker}/ready`)).status === 503);
    gate.resolve('just in time');
    assert.deepEqual(await program.exited, { code: 0, signal: null });
    assert.deepEqual(place.sent(person.phone), ['just in time']);
    assert.equal(agent.calls.length, 1);
  });

  test('a second signal ends it where it is', async (t) => {
    const place = await install(t, { external: true, env: { DARKSPERE_SHUTDOWN_MS: '600000' } });
    const program = await place.start();
    const agent = await place.agent(program, () => new Promise<never>(() => {}));
    await place.simulator.person(phone(200)).text('hello');
    await until(() => agent.calls.length === 1);
    program.child.kill('SIGTERM');
    await until(async () => (await fetch(`${program.urls.worker}/ready`)).status === 503);
    // Two signals within a second are one wish (npm passes Ctrl-C on), so the person presses until it ends.
    await until(() => program.child.exitCode !== null || !program.child.kill('SIGINT'), { intervalMs: 100 });
    assert.deepEqual(await program.exited, { code: 130, signal: null });
  });
});

describe('what stands in the way of a start', () => {
  test('a port that is taken: exit code 2, and the message names the variable', async (t) => {
    const place = await install(t, { external: true });
    const taken = createServer();
    await once(taken.listen(0, '127.0.0.1'), 'listening');
    t.after(() => taken.close());
    const port = String((taken.address() as AddressInfo).port);
    for (const variable of ['PORT', 'MCP_ADAPTER_PORT', 'AGENT_REGISTRATION_PORT', 'WORKER_PORT']) {
      const { output, exited } = runProgram(['start'], { ...place.env, [variable]: port });
      assert.deepEqual(await exited, { code: 2, signal: null }, output());
      assert.match(output(), new RegExp(`${port}.*\\b${variable}\\b`));
    }
  });

  test('a second copy on the same data directory: exit code 2, and the first goes on unharmed', async (t) => {
    const place = await install(t, { external: false });
    const first = await place.start();
    await place.agent(first, ({ message }) => `You said ${message}`);
    const second = runProgram(['start'], { ...place.env, PORT: '0' });
    assert.deepEqual(await second.exited, { code: 2, signal: null }, second.output());
    assert.match(second.output(), /in use by another copy of Darkspere.*DARKSPERE_DATA_DIR/);
    const person = place.simulator.person(phone(300));
    await person.text('still there?');
    assert.equal((await person.next()).body, 'You said still there?');
    await first.kill('SIGTERM');
    assert.deepEqual(await first.exited, { code: 0, signal: null });
  });

  test('a data directory that cannot be used is not taken for a database that is away', async (t) => {
    const place = await install(t, { external: false });
    const folder = join(place.dataDir, 'broken');
    const refused = async (expected: RegExp, code: number) => {
      const { output, exited } = runProgram(['start'], { ...place.env, DARKSPERE_DATA_DIR: folder });
      assert.deepEqual(await exited, { code, signal: null }, output());
      assert.match(output(), expected);
      assert.doesNotMatch(output(), /went away/);
    };
    await symlink(join(place.dataDir, 'nowhere'), folder);
    await refused(/DARKSPERE_DATA_DIR: .*broken cannot be made \(ENOENT/, 2);
    await rm(folder);
    await writeFile(folder, '');
    await refused(/DARKSPERE_DATA_DIR: .*broken cannot be made \(EEXIST/, 2);
    await rm(folder);
    await mkdir(join(folder, 'postgres'), { recursive: true });
    await refused(/broken\/postgres is not a cluster .*ENOENT.*PG_VERSION.*DARKSPERE_DATA_DIR/, 1);
  });

  test('a database that cannot be reached: it ends, and the message names the place without the password', async (t) => {
    const place = await install(t, { external: true });
    const { output, exited } = runProgram(['start'], {
      ...place.env,
      DATABASE_URL: 'postgres://somebody:not-for-the-log@127.0.0.1:1/darkspere',
    });
    const { code } = await exited;
    assert.notEqual(code, 0);
    assert.match(output(), /127\.0\.0\.1:1/);
    assert.ok(!output().includes('not-for-the-log'));
  });
});
