// `darkspere numbers` and `darkspere campaigns`, run as an operator runs them: each a process of its own.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { install, OUR_NUMBER, runProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const KEY = randomBytes(32).toString('base64');

async function run(args: readonly string[], env: Readonly<Record<string, string>>) {
  const { child, exited } = runProgram(args, env);
  let [said, complained] = ['', ''];
  child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (complained += chunk.toString()));
  const { code } = await exited;
  return { code, said, complained };
}

describe('numbers and campaigns', { concurrency: 2 }, () => {
  let db: TestDatabase;
  let env: Record<string, string>;
  before(async () => {
    db = await freshDatabase({ web: 1, worker: 1, admin: 1 });
    env = { DATABASE_URL: db.url, DARKSPERE_SECRET_KEY: KEY, TWILIO_PHONE_NUMBERS: '+15550001111' };
  });
  after(() => db.drop());

  const darkspere = (...args: string[]) => run(args, env);
  const settingsOf = async (address: string) => {
    const { said } = await darkspere('numbers', '--json');
    const lines = said.trim().split('\n');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>).find((row) => row.address === address);
  };

  test('settings may stand in a file, those of the environment win, and one that is named has to be there', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'darkspere-env-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'settings');
    const { DATABASE_URL, ...rest } = env;
    await writeFile(file, `DATABASE_URL=${DATABASE_URL}\nDARKSPERE_SECRET_KEY=too-short\n`);
    const read = await run(['numbers', '--json'], { ...rest, DARKSPERE_ENV_FILE: file });
    assert.equal(read.code, 0, read.complained);
    const missing = await run(['numbers'], { ...env, DARKSPERE_ENV_FILE: join(folder, 'nothing') });
    assert.equal(missing.code, 1);
    assert.match(
      missing.complained,
      /^DARKSPERE_ENV_FILE cannot be read: .*nothing.*Name a file, or nothing for none\./,
    );
  });

  test('a number is added, changed setting by setting, and shown', async () => {
    const added = await darkspere('numbers', 'set', '+18005550100');
    assert.equal(added.code, 0, added.complained);
    assert.match(added.complained, /^Added \+18005550100/);
    const whole = [
      ['--busy-policy', 'interrupt'],
      ['--hold-ms', '8000'],
      ['--hold-text', 'One moment.'],
      ['--quiet-ms', '0'],
      ['--max-segments', '4'],
      ['--session-idle', '2 hours'],
      ['--agent-type', 'sales'],
      ['--require', 'pictures'],
      ['--require', 'German'],
      ['--require', 'pictures'],
    ].flat();
    const changed = await darkspere('numbers', 'set', '+18005550100', ...whole);
    assert.deepEqual([changed.code, changed.complained], [0, '']);
    assert.match(
      changed.said,
      /^\+18005550100 +yes +sales +pictures, German +interrupt +0 ms +8000 ms +4 +3 +2 hours +on +none +none$/m,
    );
    assert.deepEqual(await settingsOf('+18005550100'), {
      address: '+18005550100',
      is_active: true,
      agent_type: 'sales',
      busy_policy: 'interrupt',
      quiet_ms: 0,
      hold_ms: 8_000,
      hold_text: 'One moment.',
      max_segments: 4,
      // Toll-free.
      segments_per_second: 3,
      session_idle_seconds: 7_200,
      agent_choice: true,
      required_capabilities: ['pictures', 'German'],
      keywords: {},
      campaign: null,
    });
    const undone = await darkspere(
      ...['numbers', 'set', '+18005550100', '--hold-ms', 'off', '--quiet-ms', 'default', '--mps', '2.5'],
    );
    assert.match(undone.said, / pictures, German +interrupt +default +off +4 +2\.5 /);
    const fewer = await darkspere('numbers', 'set', '+18005550100', '--require', 'German');
    assert.match(fewer.said, / sales +German +interrupt /);
    const none = await darkspere('numbers', 'set', '+18005550100', '--require', 'none');
    assert.match(none.said, / sales +none +interrupt /);
  });

  test('a migration says for scripts what it did', async () => {
    const { code, said, complained } = await darkspere('migrate', '--json');
    assert.deepEqual([code, complained], [0, '']);
    const { version, ...done } = JSON.parse(said);
    assert.match(version, /^\d{4}-/);
    assert.deepEqual(done, { applied: [], indexes: [] });
  });

  test('a shell completes every command that there is, and a shell that is none is refused', async () => {
    const { said: help } = await darkspere('--help');
    const commands = [...help.matchAll(/^ {2}([a-z]+) .*$/gm)].map(([, name]) => name!);
    assert.ok(commands.includes('numbers'), help);
    const { code, said } = await darkspere('completion', 'bash');
    assert.equal(code, 0);
    for (const name of commands) assert.match(said, new RegExp(`[ ']${name}[ ']`), name);
    const unknown = await darkspere('completion', 'tcsh');
    assert.equal(unknown.code, 2);
    assert.match(unknown.complained, /bash, zsh, fish/);
  });

  test('a number that the environment names is not taken out of service without a warning', async () => {
    const { code, complained } = await darkspere('numbers', 'set', '+15550001111', '--active', 'no');
    assert.equal(code, 0);
    assert.match(complained, /TWILIO_PHONE_NUMBERS/);
    assert.equal((await settingsOf('+15550001111'))?.is_active, false);
  });

  test('a campaign has limits of its own and of its brand, and numbers join and leave it', async () => {
    const alone = await darkspere('campaigns', 'set', 'news', '--daily-segments', '2000');
    assert.equal(alone.code, 2);
    assert.match(alone.complained, /^invalid_request: --daily-segments: .* --brand NAME/);
    assert.equal((await db.admin`select from campaigns where name = 'news'`).length, 0, 'half of it was done');

    await darkspere('campaigns', 'set', 'care', '--brand', 'Acme Inc', '--segments-per-minute', '240');
    const made = await darkspere(
      ...['campaigns', 'set', 'news', '--brand', 'Acme Inc', '--segments-per-minute', '75', '--daily-segments', '2000'],
    );
    assert.equal(made.code, 0);
    assert.match(made.complained, /belongs to the brand Acme Inc; it counts for: care, news\./);

    const joined = await darkspere('numbers', 'set', '+15550002222', '--campaign', 'news');
    assert.equal(joined.code, 0, joined.complained);
    const { said } = await darkspere('campaigns', '--json');
    assert.deepEqual(
      said
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
      [
        { name: 'care', brand: 'Acme Inc', segments_per_minute: 240, daily_segments: 2_000, numbers: [] },
        { name: 'news', brand: 'Acme Inc', segments_per_minute: 75, daily_segments: 2_000, numbers: ['+15550002222'] },
      ],
    );
    const off = await darkspere('campaigns', 'set', 'news', '--segments-per-minute', 'off', '--daily-segments', 'off');
    assert.match(off.said, /^news +off +Acme Inc +off +\+15550002222$/m);
    assert.match((await darkspere('numbers', 'set', '+15550002222', '--campaign', 'none')).said, /none$/m);

    const unknown = await darkspere('numbers', 'set', '+15550003333', '--campaign', 'nws');
    assert.equal(unknown.code, 2);
    assert.match(unknown.complained, /^not_found: --campaign: there is no campaign "nws"\. There are: care, news\./);
    assert.equal(await settingsOf('+15550003333'), undefined, 'the number was added all the same');
  });

  for (const [args, said] of [
    [['numbers', 'set', '5551234'.repeat(3)], /\+15551234567/],
    [['numbers', 'set', '+15550001111', '--busy-policy', 'wait'], /--busy-policy.*collect, interrupt, queue/],
    [['numbers', 'set', '+15550001111', '--hold-ms', '10'], /--hold-ms.*from 1000 to 600000, or "off"/],
    [['numbers', 'set', '+15550001111', '--quiet-ms', '5001'], /--quiet-ms.*from 0 to 5000, or "default"/],
    [['numbers', 'set', '+15550001111', '--max-segments', '1.5'], /--max-segments.*from 1 to 100/],
    [['numbers', 'set', '+15550001111', '--mps', 'fast'], /--mps.*like 1 or 2\.5/],
    [['numbers', 'set', '+15550001111', '--session-idle', '1; drop'], /--session-idle.*"24 hours"/],
    [['numbers', 'set', '+15550001111', '--hold-text', ' '], /--hold-text.*1 to 300/],
    [['numbers', 'set', '+15550001111', '--active', 'maybe'], /--active.*yes, no/],
    [['numbers', 'set', '+15550001111', '--require', ''], /--require.*1 to 64 characters/],
    [['numbers', 'set', '+15550001111', '--require', 'x'.repeat(65)], /--require.*1 to 64 characters/],
    [['numbers', 'set', '+15550001111', '--colour', 'red'], /unknown option '--colour'/],
    [['campaigns', 'set', 'x', '--segments-per-minute', '0'], /--segments-per-minute.*from 10 .*"off"/],
    [['campaigns', 'set', 'none'], /another name/],
  ] as const) {
    test(`exit code 2 and the option named: darkspere ${args.join(' ')}`, async () => {
      const { code, complained } = await darkspere(...args);
      assert.equal(code, 2);
      assert.match(complained, said);
    });
  }

  test('exit code 1 when the database does not answer, and no password in what is said', async () => {
    const { code, complained } = await run(['numbers'], {
      ...env,
      DATABASE_URL: 'postgres://me:swordfish@127.0.0.1:1/nowhere',
    });
    assert.equal(code, 1);
    assert.match(complained, /^database_unreachable: PostgreSQL at 127\.0\.0\.1:1\/nowhere/);
    assert.doesNotMatch(complained, /swordfish/);
  });
});

test('while Darkspere runs on its embedded database a change is in force with the next text; stopped, it is kept', async (t) => {
  const here = await install(t, { external: false });
  const program = await here.start();
  await here.agent(program, () => 'word '.repeat(100));
  const changed = await run(['numbers', 'set', OUR_NUMBER, '--max-segments', '1'], here.env);
  assert.equal(changed.code, 0, changed.complained);
  await here.textForSure('+15557654321', 'hello');
  const [answer] = await until(() => here.sent('+15557654321').length > 0 && here.sent('+15557654321'));
  assert.ok(answer!.length <= 160, `${answer!.length} characters`);

  await program.kill('SIGTERM');
  const stopped = await run(['numbers', '--json'], here.env);
  assert.equal(stopped.code, 0, stopped.complained);
  assert.equal(JSON.parse(stopped.said).max_segments, 1);
});
