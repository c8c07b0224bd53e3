// Several gateways' and workers' processes on one database, some of them frozen, cut off, late or of another time.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectionUrl } from '../../src/database/connection.ts';
import { type Installation, install, type Program } from '../support/program.ts';
import { startProxy } from '../support/proxy.ts';
import { allSettled } from '../support/settled.ts';
import { until } from '../support/until.ts';

/** Ten seconds of silence, a look, and what a loaded machine adds. */
const TAKEOVER_MS = 30_000;
const NO_WORKER = ['gateway', 'agent-registration'] as const;

const phone = (n: number) => `+1555060${String(n).padStart(4, '0')}`;

/** Node options that put the clock of a process ahead or back. */
function clockSet(minutes: number): string {
  const script = `
    const Real = Date;
    const shift = ${minutes} * 60_000;
    globalThis.Date = class Date extends Real {
      constructor(...parts) { parts.length === 0 ? super(Real.now() + shift) : super(...parts); }
      static now() { return Real.now() + shift; }
    };`;
  return `--import data:text/javascript;base64,${Buffer.from(script).toString('base64')}`;
}

const poolOf = async ({ database }: Installation, program: Program) => {
  const rows = await database!.admin`select worker_ids from worker_pools where pid = ${program.child.pid!}`;
  return rows[0];
};

describe('many processes', () => {
  test('machines whose clocks are twenty minutes apart agree on every time that matters', async (t) => {
    const place = await install(t, { external: true, env: { DARKSPERE_CONCURRENCY: '1' } });
    const gateway = await place.start(NO_WORKER, { NODE_OPTIONS: clockSet(10) });
    const workers = [
      await place.start(['worker'], { NODE_OPTIONS: clockSet(10) }),
      await place.start(['worker'], { NODE_OPTIONS: clockSet(-10) }),
    ];
    const gate = Promise.withResolvers<void>();
    let failing = 2;
    const agent = await place.agent(gateway, async ({ message }) => {
      if (message === 'later') return { status: 202 };
      await gate.promise;
      return failing-- > 0 ? { status: 503 } : message;
    });
    // Each worker holds one turn, so both of them ask the agent, see it fail and have to wait for it.
    const [ann, bob] = [place.simulator.person(phone(1)), place.simulator.person(phone(2))];
    await Promise.all([ann.text('from ann'), bob.text('from bob')]);
    await until(() => agent.calls.length === 2, { what: 'a call by each worker' });
    gate.resolve();
    assert.equal((await ann.next(undefined, TAKEOVER_MS)).body, 'from ann');
    assert.equal((await bob.next(undefined, TAKEOVER_MS)).body, 'from bob');
    await ann.text('later');
    const { admin } = place.database!;
    await until(() => admin`select from turns where state = 'deferred'`.then((rows) => rows.length));

    const near = (secondsOff: unknown, wanted = 0) =>
      assert.ok(Math.abs(Number(secondsOff) - wanted) < 60, `${secondsOff} s instead of ${wanted}`);
    for (const { headers } of agent.calls) near(Number(headers['webhook-timestamp']) - Date.now() / 1000);
    const exchanges = await admin`select extract(epoch from clock_timestamp() - started_at) as age from exchanges`;
    assert.ok(exchanges.length >= 5);
    for (const { age } of exchanges) near(age);
    const jobs = await admin`
      select extract(epoch from run_at - clock_timestamp()) as left from graphile_worker.jobs
      where task_identifier = 'close-deferred'`;
    assert.equal(jobs.length, 1);
    near(jobs[0]!.left, 600);
    const [row] = await admin`
      select extract(epoch from clock_timestamp() - last_failure_at) as failed,
        extract(epoch from coalesce(cooling_until, clock_timestamp()) - clock_timestamp()) as cooling
      from agent_registry`;
    near(row!.failed);
    near(row!.cooling);
    for (const worker of workers) assert.equal(worker.child.exitCode, null);
  });

  test('a worker that is stopped until it is presumed dead, and goes on, doubles nothing and loses nothing', async (t) => {
    const place = await install(t, { external: true });
    const gateway = await place.start(NO_WORKER);
    const frozen = await place.start(['worker']);
    const answers = Array.from({ length: 3 }, () => Promise.withResolvers<string>());
    const agent = await place.agent(gateway, (_, call) => answers[agent.calls.indexOf(call)]!.promise);
    const ann = place.simulator.person(phone(10));
    await ann.text('hello');
    await until(() => agent.calls.length === 1);
    await frozen.kill('SIGSTOP');
    const other = await place.start(['worker']);
    await until(() => agent.calls.length === 2, { what: 'another worker asking', timeoutMs: TAKEOVER_MS });

    answers[0]!.resolve('from the frozen one');
    await frozen.kill('SIGCONT');
    const { admin } = place.database!;
    await until(() => admin`select from exchanges where kind = 'agent' and late`.then((rows) => rows.length), {
      what: 'the late answer being refused',
      timeoutMs: TAKEOVER_MS,
    });
    // It has ended its job since, and works again: its own jobs are the only ones it may remove.
    await until(() => poolOf(place, frozen));
    await frozen.kill('SIGTERM');
    const jobs = await admin`select locked_by from graphile_worker.jobs where task_identifier = 'turn'`;
    assert.deepEqual(
      jobs.map((job) => job.locked_by),
      ((await poolOf(place, other))!.worker_ids as string[]).filter((id) => id === jobs[0]?.locked_by),
    );
    assert.equal(jobs.length, 1, 'the job that the other worker runs is gone');

    // So when that one dies as well, a third has the text at once.
    await other.kill('SIGKILL');
    await place.start(['worker']);
    await until(() => agent.calls.length === 3, { what: 'a third worker asking', timeoutMs: TAKEOVER_MS });
    answers[1]!.resolve('from the dead one');
    answers[2]!.resolve('the answer');
    assert.equal((await ann.next(undefined, TAKEOVER_MS)).body, 'the answer');
    await allSettled(admin);
    assert.deepEqual(place.sent(ann.phone), ['the answer']);
  });

  test('a worker whose host falls silent: another takes over, and when the link is back it does no harm', async (t) => {
    const place = await install(t, { external: true });
    const { connection, admin } = place.database!;
    const { host, port } = connection;
    const wire = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    t.after(() => wire.down());
    const gateway = await place.start(NO_WORKER);
    const cutOff = await place.start(['worker'], {
      DATABASE_URL: connectionUrl({ ...connection, host: '127.0.0.1', port: wire.port }),
    });
    const answers = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    const agent = await place.agent(gateway, (_, call) => answers[agent.calls.indexOf(call)]?.promise ?? 'later');
    const ann = place.simulator.person(phone(20));
    await ann.text('hello');
    await until(() => agent.calls.length === 1);
    wire.fallSilent();
    answers[0]!.resolve('from the one that is cut off');
    const other = await place.start(['worker']);
    await until(() => agent.calls.length === 2, { what: 'another worker asking', timeoutMs: TAKEOVER_MS });
    answers[1]!.resolve('the answer');
    assert.equal((await ann.next(undefined, TAKEOVER_MS)).body, 'the answer');

    wire.speak();
    await until(() => admin`select from exchanges where kind = 'agent' and late`.then((rows) => rows.length), {
      what: 'the late answer being refused',
      timeoutMs: TAKEOVER_MS,
    });
    await other.kill('SIGTERM');
    assert.deepEqual(await other.exited, { code: 0, signal: null });
    await ann.text('still there?');
    assert.equal((await ann.next(undefined, TAKEOVER_MS)).body, 'later');
    await allSettled(admin);
    assert.deepEqual(place.sent(ann.phone), ['the answer', 'later']);
    assert.equal(cutOff.child.exitCode, null);
  });

  test('a rolling restart under load: every process ends with 0, every text is answered once, in order', async (t) => {
    const place = await install(t, { external: true });
    let gateway = await place.start(NO_WORKER);
    const workers = [await place.start(['worker']), await place.start(['worker'])];
    await place.agent(gateway, ({ message }) => ({ text: message, delayMs: 100 }));
    const people = Array.from({ length: 20 }, (_, n) => phone(100 + n));
    const said = people.map(() => [] as string[]);
    let rolling = true;
    const texting = people.map(async (from, n) => {
      while (rolling) {
        const word = `${n}.${said[n]!.length}`;
        await place.textForSure(from, word);
        said[n]!.push(word);
        const enough = place.sent(from).length;
        await until(() => !rolling || place.sent(from).length > enough, { timeoutMs: TAKEOVER_MS });
      }
    });
    for (const [n, old] of workers.entries()) {
      workers[n] = await place.start(['worker']);
      await old.kill('SIGTERM');
      assert.deepEqual(await old.exited, { code: 0, signal: null }, old.output());
    }
    await gateway.kill('SIGTERM');
    assert.deepEqual(await gateway.exited, { code: 0, signal: null }, gateway.output());
    gateway = await place.start(NO_WORKER);
    rolling = false;
    await Promise.all(texting);
    await allSettled(place.database!.admin);
    for (const [n, from] of people.entries()) {
      assert.deepEqual(
        place.sent(from).flatMap((body) => body.split('\n')),
        said[n],
      );
    }
  });
});
