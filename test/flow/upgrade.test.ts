// A new release's migrations while the old one serves: the text path does not stop, and old processes go on until they are
// replaced.
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { migrate } from '../../src/database/migrate.ts';
import { install, runProgram } from '../support/program.ts';
import { allSettled } from '../support/settled.ts';
import { until } from '../support/until.ts';

const DATABASE_FOLDER = fileURLToPath(new URL('../../database/', import.meta.url));

const phone = (n: number) => `+1555070${String(n).padStart(4, '0')}`;

/** What answers were to. Of a flood the agent gets the first and the newest texts, and is told how many came in between. */
function heard(answers: readonly string[], said: readonly string[]): string[] {
  const words: string[] = [];
  for (const line of answers.flatMap((body) => body.split('\n'))) {
    const [, leftOut] = /^\[(\d+) more texts came here and are left out\]$/.exec(line) ?? [];
    if (leftOut === undefined) words.push(line);
    else words.push(...said.slice(words.length, words.length + Number(leftOut)));
  }
  return words;
}

/** The next release: one more column and table, and functions that take and give more than before. */
async function nextRelease(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'darkspere-release-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await cp(DATABASE_FOLDER, directory, { recursive: true });
  await writeFile(
    join(directory, 'migrations', '9000-additive.sql'),
    `alter table conversations add column mood text;
     alter table turns add column cost bigint not null default 0;
     create table moods (name text primary key);`,
  );
  const edit = async (file: string, edits: readonly (readonly [string, string])[]) => {
    const path = join(directory, 'functions', 'bridge', file);
    let text = await readFile(path, 'utf8');
    for (const [from, to] of edits) {
      assert.ok(text.includes(from), `${file} no longer has ${from}`);
      text = text.replaceAll(from, to);
    }
    await writeFile(path, text);
  };
  // Two functions of the hottest path, and one inside them, take another parameter; a fourth has another result.
  await edit('turns.sql', [
    ['finish_turns(p_turns json, p_pacing boolean)', 'finish_turns(p_turns json, p_pacing boolean, p_mood text)'],
    ['finish_turns(json, boolean)', 'finish_turns(json, boolean, text)'],
    ['perform record_exchanges(p_turns, ', 'perform record_exchanges(p_mood, p_turns, '],
    [
      'give_back(p_conversation uuid, p_token int, p_delay_ms int)\nreturns boolean',
      'give_back(p_conversation uuid, p_token int, p_delay_ms int, p_mood text)\nreturns text',
    ],
    ['give_back(uuid, int, int)', 'give_back(uuid, int, int, text)'],
    ['give_back(c.id, c.token, 0)', "give_back(c.id, c.token, 0, '')::boolean"],
  ]);
  await edit('exchanges.sql', [
    ['record_exchanges(', 'record_exchanges(p_mood text, '],
    ['record_exchanges(p_mood text, json', 'record_exchanges(text, json'],
  ]);
  await edit('../inbox/replays.sql', [['perform record_exchanges(', "perform record_exchanges('', "]]);
  await edit('sending.sql', [['perform record_exchanges(', "perform record_exchanges('', "]]);
  await edit('ingest.sql', [
    [
      'ingest_texts(p_texts json, p_quiet_ms int, p_scope text)',
      'ingest_texts(p_mood text, p_texts json, p_quiet_ms int, p_scope text)',
    ],
    ['ingest_texts(json, int, text)', 'ingest_texts(text, json, int, text)'],
  ]);
  return directory;
}

describe('an upgrade under load', () => {
  test('no text is lost, none answered twice, and old processes go on with the new schema', async (t) => {
    const place = await install(t, { external: true });
    const directory = await nextRelease(t);
    const old = await place.start(['gateway', 'agent-registration', 'worker']);
    await place.agent(old, ({ message }) => ({ text: message, delayMs: 20 }));
    const people = Array.from({ length: 15 }, (_, n) => phone(n));
    const said = people.map(() => [] as string[]);
    let upgrading = true;
    const texting = people.map(async (from, n) => {
      for (let k = 0; upgrading || k < 10; k++) {
        await place.textForSure(from, `${n}.${k}`);
        said[n]!.push(`${n}.${k}`);
        await until(() => place.sent(from).length > 0, { what: 'the first answer' });
      }
    });
    await until(() => said.every((words) => words.length > 0));
    // Two machines of the new release begin at once.
    const [one, two] = await Promise.all([
      migrate(place.database!.connection, { directory }),
      migrate(place.database!.connection, { directory }),
    ]);
    assert.deepEqual([...one.applied, ...two.applied], ['9000-additive.sql']);
    const texted = said.flat().length;
    await until(() => said.flat().length > texted + 50, { what: 'texts after the upgrade' });
    upgrading = false;
    await Promise.all(texting);
    await allSettled(place.database!.admin);
    for (const [n, from] of people.entries()) {
      const words = said[n]!;
      assert.deepEqual(heard(place.sent(from), words), words);
    }
    assert.equal(old.child.exitCode, null);
    assert.doesNotMatch(old.output(), /does not exist|is not unique/);

    // One of the old release that starts now says why it does not.
    const late = runProgram(['start', 'worker'], place.env);
    assert.deepEqual(await late.exited, { code: 2, signal: null }, late.output());
    assert.match(late.output(), /schema_newer.*9000-additive\.sql/);
  });
});
