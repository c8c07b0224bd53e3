// Whatever breaks: many texts of many people while processes, wires, the database, the carrier and the agents fail.
//   npm run chaos -- [--texts 20000] [--people 2000] [--minutes 6] [--seed N] [--gateways 2] [--workers 3]
//                    [--spool] [--pacing] [--interleavings 1000] [--no-meetings] [--json]
// Then the statements behind it in any order, as many sequences as --interleavings says, and each pair and some of three at the same moment.
// Ends with 1 when the promise was broken, and says where. The same seed makes the same faults and the same texts again.
import { parseArgs } from 'node:util';
import { table } from '../../bench/support/table.ts';
import { messageOf } from '../../src/errors.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startTestServer } from '../support/server.ts';
import { agentPlay } from './agent-meetings.ts';
import { excerpt, RULES, type Violation } from './checker.ts';
import { checkInterleavings } from './interleavings.ts';
import { mailboxPlay } from './mailbox-meetings.ts';
import { checkMeeting, checkSome, type Play, pairsOf } from './meetings.ts';
import { type RunResult, run } from './run.ts';

/** Everything a run can need after its last fault: unknown parts have their minute, and some need a second look. */
const SETTLE_MS = 240_000;
/** A minute or two for each play. */
const THREES = 2_000;
/** Violations of each rule. */
const SHOWN = 5;

const { values } = parseArgs({
  options: {
    texts: { type: 'string', default: '20000' },
    people: { type: 'string', default: '2000' },
    minutes: { type: 'string', default: '6' },
    seed: { type: 'string' },
    gateways: { type: 'string', default: '2' },
    workers: { type: 'string', default: '3' },
    /** Default: with one gateway. */
    spool: { type: 'boolean' },
    pacing: { type: 'boolean', default: false },
    /** Time between faults, milliseconds. */
    every: { type: 'string', default: '1000' },
    interleavings: { type: 'string', default: '1000' },
    meetings: { type: 'boolean', default: true },
    json: { type: 'boolean', default: false },
  },
  allowNegative: true,
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const say = (line: string) => void process.stderr.write(`${line}\n`);

let close = async () => {};
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void close().finally(() => process.exit(130)));
}

say(`seed ${seed}`);
const result = await run({
  seed,
  people: Number(values.people),
  texts: Number(values.texts),
  durationMs: Number(values.minutes) * 60_000,
  everyMs: Number(values.every),
  gateways: Number(values.gateways),
  workers: Number(values.workers),
  spool: values.spool ?? Number(values.gateways) === 1,
  pacing: values.pacing,
  grace: 'real',
  settleMs: SETTLE_MS,
  say,
  opened: (how) => {
    close = how;
  },
});
process.stdout.write(values.json ? `${json(result)}\n` : report(result));
const isSound = await checkStatements();
process.exit(result.violations.length > 0 || !isSound ? 1 : 0);

/** False when a sequence broke the model, or what meets is not as one after the other; what replays it is printed. */
async function checkStatements(): Promise<boolean> {
  const server = await startTestServer();
  close = server.stop;
  try {
    process.env.DARKSPERE_TEST_SERVER = server.url;
    const runs = Number(values.interleavings);
    say(`${runs} sequences of statements`);
    await onDatabase((db) => checkInterleavings(db, { runs, seed }));
    if (values.meetings) {
      for (const isLimited of [false, true]) {
        await onDatabase(async (db) => checkMeetings(db, await mailboxPlay(db, isLimited)));
      }
      await onDatabase(async (db) => checkMeetings(db, await agentPlay(db)));
    }
    return true;
  } catch (error) {
    say(messageOf(error));
    // What a property found is the cause of what it throws.
    if (error instanceof Error && error.cause !== undefined) say(messageOf(error.cause));
    return false;
  } finally {
    await server.stop();
  }
}

async function onDatabase(work: (db: TestDatabase) => Promise<void>): Promise<void> {
  const db = await freshDatabase();
  await work(db).finally(() => db.drop());
}

async function checkMeetings<Scene>(db: TestDatabase, play: Play<Scene>): Promise<void> {
  const pairs = pairsOf(play);
  say(`${pairs.length} pairs of statements at the same moment, and ${THREES} of three`);
  for (const pair of pairs) await checkMeeting(db, play, pair);
  await checkSome(db, play, { size: 3, numRuns: THREES, seed });
}

function json({ figures, schedule, violations }: RunResult): string {
  return JSON.stringify({ seed, figures, broken: counted(violations), violations, schedule });
}

function counted(violations: readonly Violation[]): Record<string, number> {
  return Object.fromEntries(RULES.map((rule) => [rule, violations.filter((one) => one.rule === rule).length]));
}

/** One to show for each rule that was broken, with a person to show it of. */
function firstOfEachRule(violations: readonly Violation[]): { rule: string; person: string }[] {
  return RULES.flatMap((rule) => {
    const person = violations.find((one) => one.rule === rule && one.person !== null)?.person;
    return person ? [{ rule, person }] : [];
  });
}

function report({ figures, schedule, violations, history, rows }: RunResult): string {
  const { faults, answerMs, surprises, fellBackWhy, ...counts } = figures;
  const names: Readonly<Record<keyof typeof counts, string>> = {
    texts: 'texts',
    acked: 'answered 200',
    posts: 'webhooks, repeats and copies included',
    answered: 'answered by a text',
    fellBack: 'told that nobody can answer',
    stopped: 'ended by a STOP',
    onTheWire: 'messages on the wire at a STOP',
    sentLate: 'requests over a minute on the way',
    sent: 'messages the carrier took',
    agentCalls: 'calls of agents',
    agentPosts: 'posts by agents',
    unknown: 'parts of unknown end, settled',
    restarts: 'processes started again',
    rescues: 'conversations only the net found',
  };
  const lines = (Object.keys(names) as (keyof typeof counts)[]).map((key) => [names[key], String(counts[key])]);
  const broken = Object.entries(counted(violations)).map(([rule, count]) => [rule, String(count)]);
  const died = [['of which died by themselves', String(surprises.length)]];
  const time = [['200 to the carrier, p50 / p99', `${answerMs.p50} / ${answerMs.p99} ms`]];
  const happened = Object.entries(faults).map(([fault, count]) => [`  ${fault}`, String(count)]);
  const why = Object.entries(fellBackWhy).map(
    ([code, { turns, firstAtS, lastAtS }]) => `fell back: ${turns} turns, ${code}, ${firstAtS}–${lastAtS} s`,
  );
  return [
    table([...lines, ...died, ...time, ['faults', String(schedule.length)], ...happened]),
    ...why,
    '',
    table(broken),
    ...[...new Set(surprises)].map((words) => words.slice(0, 300)),
    ...RULES.flatMap((rule) => violations.filter((one) => one.rule === rule).slice(0, SHOWN)).map(
      ({ rule, person, what }) => `${rule} (${person ?? 'nobody'}): ${what}`,
    ),
    ...firstOfEachRule(violations).flatMap(({ rule, person }) => ['', `${rule}:`, ...excerpt(person, history, rows)]),
    ...(violations.length > 0 ? ['', `Again: npm run chaos -- --seed ${seed}`] : []),
    '',
  ].join('\n');
}
