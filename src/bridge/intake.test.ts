// Which way a webhook goes, with a database that does as it is told and a real spool.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { until } from '../../test/support/until.ts';
import type { Inbound } from '../channels/channel.ts';
import { DarkspereError } from '../errors.ts';
import { createMetrics } from '../observability/metrics.ts';
import { createIntake, type Intake } from './intake.ts';
import { keywordOf } from './keywords.ts';
import { openSpool, type Spool } from './spool/spool.ts';

/** "503 within a second", and what a loaded machine adds to it. */
const REFUSED_WITHIN_MS = 1_500;

type Answer = 'ok' | 'refused' | 'silent' | 'bad data';

let directory: string;
let spool: Spool;
let intake: Intake;
let log: string[];
let answer: Answer;
/** Everything the database took, in order. */
let stored: string[];
let asked: number;

const text = (words: string, from = '+15550000001'): Inbound => ({
  channel: 'sms',
  providerId: words,
  from,
  to: '+15550000002',
  text: words,
  media: [],
  optOutHandled: null,
});

async function database(words: readonly string[]): Promise<void> {
  asked += 1;
  if (answer === 'silent') return new Promise(() => {});
  if (answer === 'refused') throw Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' });
  if (answer === 'bad data' || words.includes('poison')) throw Object.assign(new Error('bad'), { code: '22P05' });
  stored.push(...words);
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'darkspere-intake-'));
  log = [];
  stored = [];
  asked = 0;
  answer = 'ok';
  const logger = pino({ level: 'debug', base: null }, { write: (line: string) => void log.push(line) });
  const metrics = createMetrics();
  spool = await openSpool({ directory, maxBytes: 100_000, logger, metrics });
  intake = createIntake({
    consent: {
      concerns: ({ text: words }) => keywordOf(words) !== null,
      scopeOf: ({ from }) => from,
      isStop: ({ text: words }) => keywordOf(words) === 'stop',
      async handle({ text: words }) {
        if (keywordOf(words) === null) return false;
        await database([words]);
        return true;
      },
    },
    ingest: {
      async take({ text: words }) {
        await database([words]);
        return { conversationId: 'c', messageId: 'm', refused: null };
      },
      async takeAll(texts) {
        // A batch takes longer than a keyword, which must not overtake it.
        await nextTurn();
        await database(texts.map(({ text: words }) => words));
      },
    },
    delivery: {
      async apply() {
        await database(['status']);
        return 'moved';
      },
    },
    spool,
    databaseAnswers: async () => answer === 'ok' || answer === 'bad data',
    logger,
    metrics,
  });
});
afterEach(async () => {
  await intake.close();
  await spool.close();
  await rm(directory, { recursive: true });
});

const drained = () => until(() => spool.records === 0, { what: 'an empty spool' });

describe('a text', () => {
  it('goes to the database', async () => {
    assert.equal(await intake.text(text('hello')), 'stored');
    assert.equal(await intake.text(text('STOP')), 'keyword');
    assert.deepEqual(stored, ['hello', 'STOP']);
  });

  it('goes to the spool when the database refuses it, and the next ones without asking', async () => {
    answer = 'refused';
    assert.equal(await intake.text(text('1')), 'spooled');
    const before = asked;
    assert.equal(await intake.text(text('2')), 'spooled');
    assert.equal(await intake.text(text('HELP')), 'spooled');
    assert.equal(await intake.status({ partId: 'p', providerId: 'SM1', state: 'sent', errorCode: null }), 'spooled');
    assert.equal(asked, before);
    answer = 'ok';
    await drained();
    assert.deepEqual(
      stored.filter((words) => words !== 'status'),
      ['1', '2', 'HELP'],
    );
    assert.ok(stored.includes('status'));
    assert.equal(await intake.text(text('3')), 'stored');
  });

  it('goes to the spool when the database keeps it waiting, with all that wait, in order of arrival', async () => {
    answer = 'silent';
    const outcomes = await Promise.all(['1', '2', '3', '4'].map((words) => intake.text(text(words))));
    assert.deepEqual(outcomes, ['spooled', 'spooled', 'spooled', 'spooled']);
    answer = 'ok';
    await drained();
    assert.deepEqual(stored, ['1', '2', '3', '4']);
  });

  it('that is wrong in itself is refused and not spooled', async () => {
    answer = 'bad data';
    await assert.rejects(intake.text(text('1')), { code: '22P05' });
    assert.equal(spool.records, 0);
    answer = 'ok';
    assert.equal(await intake.text(text('2')), 'stored');
  });

  it('follows an older one of its conversation, while others go straight to the database', async () => {
    await spool.keep({ kind: 'text', text: text('2') });
    assert.equal(await intake.text(text('3')), 'spooled');
    assert.equal(await intake.text(text('x', '+15550000009')), 'stored');
    await drained();
    assert.deepEqual(
      stored.filter((words) => words !== 'x'),
      ['2', '3'],
    );
  });

  it('is not judged before a START that came right before it, of its person alone', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = createSlow(promise);
    const start = slow.text(text('START'));
    const behind = slow.text(text('3'));
    await slow.text(text('2', '+15550000009'));
    assert.deepEqual(stored, ['2']);
    resolve();
    await Promise.all([start, behind]);
    assert.deepEqual(stored, ['2', 'START', '3']);
    await slow.close();
  });

  it('is refused within a second when neither takes it', async () => {
    for (const way of ['silent', 'refused'] as const) {
      answer = way;
      spool.keep = async () => {
        throw new DarkspereError('storage_unavailable', 'The spool is full.');
      };
      const startMs = performance.now();
      await assert.rejects(intake.text(text('1')), { code: 'storage_unavailable' });
      assert.ok(performance.now() - startMs < REFUSED_WITHIN_MS);
    }
  });

  it('is refused within a second when the disk hangs', async () => {
    answer = 'refused';
    spool.keep = () => new Promise(() => {});
    const startMs = performance.now();
    await assert.rejects(intake.text(text('1')), { code: 'storage_unavailable' });
    assert.ok(performance.now() - startMs < REFUSED_WITHIN_MS);
  });

  it('that the database takes late, while the spool is full, is taken', async () => {
    spool.keep = async () => {
      throw new DarkspereError('storage_unavailable', 'The spool is full.');
    };
    answer = 'silent';
    const late = Promise.withResolvers<void>();
    const slow = createSlow(late.promise);
    const outcome = slow.text(text('1'));
    await until(() => log.some((line) => line.includes('does not take texts')));
    late.resolve();
    assert.equal(await outcome, 'stored');
    await slow.close();
  });
});

describe('a STOP', () => {
  it('is kept and not acknowledged while the database is away, so that the carrier tries another gateway', async () => {
    for (const way of ['refused', 'silent'] as const) {
      answer = way;
      const startMs = performance.now();
      await assert.rejects(intake.text(text('STOP')), { code: 'storage_unavailable' });
      assert.ok(performance.now() - startMs < REFUSED_WITHIN_MS);
      assert.equal(spool.records, 1);
      answer = 'ok';
      await drained();
    }
    assert.deepEqual(stored, ['STOP', 'STOP']);
    assert.equal(await intake.text(text('STOP')), 'keyword');
  });

  it('behind an older text of its person is not acknowledged either before both are in the database', async () => {
    await spool.keep({ kind: 'text', text: text('1') });
    await assert.rejects(intake.text(text('STOP')), { code: 'storage_unavailable' });
    await drained();
    assert.deepEqual(stored, ['1', 'STOP']);
  });

  it('that waits for the last sends does not make others think that the database is away', async () => {
    const waits = Promise.withResolvers<void>();
    const slow = createSlow(waits.promise);
    const stop = slow.text(text('STOP'));
    await pause(700);
    waits.resolve();
    assert.equal(await stop, 'keyword');
    assert.deepEqual(log, []);
    await slow.close();
  });
});

/** An intake on the same spool whose database takes what it was given when the promise resolves. */
function createSlow(ready: Promise<void>): Intake {
  const logger = pino({ level: 'debug', base: null }, { write: (line: string) => void log.push(line) });
  return createIntake({
    consent: {
      concerns: ({ text: words }) => keywordOf(words) !== null,
      scopeOf: ({ from }) => from,
      isStop: ({ text: words }) => words === 'STOP',
      async handle({ text: words }) {
        if (keywordOf(words) === null) return false;
        await ready;
        stored.push(words);
        return true;
      },
    },
    ingest: {
      async take({ text: words }) {
        if (words === '1') await ready;
        stored.push(words);
        return { conversationId: 'c', messageId: 'm', refused: null };
      },
      takeAll: () => ready,
    },
    delivery: { apply: async () => 'moved' },
    spool,
    databaseAnswers: async () => false,
    logger,
    metrics: createMetrics(),
  });
}

describe('draining', () => {
  it('keeps the order of each conversation around its keywords', async () => {
    answer = 'refused';
    const people = ['+15550000011', '+15550000012', '+15550000013'];
    const said = ['1', '2', 'STOP', 'START', '3', 'HELP', '4'];
    for (const words of said)
      for (const from of people)
        await intake.text(text(words, from)).catch((error) => assert.equal(words, 'STOP', error));
    answer = 'ok';
    await drained();
    const count = (words: string) => stored.filter((each) => each === words).length;
    for (const words of said) assert.equal(count(words), people.length);
    const last = (words: string) => stored.lastIndexOf(words);
    assert.ok(last('2') < stored.indexOf('STOP') && last('STOP') < stored.indexOf('START'));
    assert.ok(last('START') < stored.indexOf('3') && last('3') < stored.indexOf('HELP'));
    assert.ok(last('HELP') < stored.indexOf('4'));
  });

  it('puts aside what the database refuses and goes on behind it', async () => {
    answer = 'refused';
    for (const words of ['1', 'poison', '2']) await intake.text(text(words));
    answer = 'ok';
    await drained();
    assert.deepEqual(stored, ['1', '2']);
    assert.ok(log.some((line) => line.includes('"level":50') && line.includes('put aside')));
  });

  it('says once that it begins and once that it is done', async () => {
    answer = 'refused';
    for (const words of ['1', '2', '3']) await intake.text(text(words));
    answer = 'ok';
    await drained();
    await until(() => log.some((line) => line.includes('is drained')));
    answer = 'refused';
    await intake.text(text('4'));
    answer = 'ok';
    await drained();
    assert.equal(log.filter((line) => line.includes('does not take texts')).length, 1);
    assert.equal(log.filter((line) => line.includes('is drained')).length, 1);
    assert.ok(!log.join('').includes('+1555'));
  });

  for (const step of ['adopt', 'next', 'read', 'remove'] as const)
    it(`goes on where it was when \`${step}\` hung, and meanwhile others' texts go to the database`, async () => {
      const disk = Promise.withResolvers<void>();
      const work = spool[step] as (...args: unknown[]) => Promise<never>;
      let asks = 0;
      spool[step] = async (...args: unknown[]) => {
        asks += 1;
        await disk.promise;
        return work(...args);
      };
      try {
        answer = 'refused';
        await intake.text(text('1'));
        answer = 'ok';
        await until(() => asks > 0);
        answer = 'refused';
        await intake.text(text('2', '+15550000003'));
        answer = 'ok';
        let people = 0;
        await until(async () => (await intake.text(text('x', `+1555001${people++}`))) === 'stored');
        assert.equal(asks, 1, 'the disk was asked again while it hung');
      } finally {
        disk.resolve();
      }
      await drained();
      const others = stored.filter((words) => words !== 'x');
      assert.deepEqual(others.toSorted(), ['1', '2']);
      assert.ok(log.some((line) => line.includes('The disk does not answer')));
    });

  it('at the end brings what it can to the database', async () => {
    answer = 'refused';
    await intake.text(text('1'));
    answer = 'ok';
    await intake.close();
    assert.deepEqual(stored, ['1']);
  });
});
