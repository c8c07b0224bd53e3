// STOP against everything that can run at the same moment, on the statements themselves.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { ClaimedPart, Turn } from '../../src/bridge/store.ts';
import { MORE_TAIL } from '../../src/channels/segments.ts';
import { type Bridge, bridgeOf, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { runs } from '../support/property.ts';
import { newSid } from '../support/signed-webhook.ts';

let db: TestDatabase;
let bridge: Bridge;

const STEPS = ['ingest', 'start', 'finish', 'claim', 'record', 'stop', 'unstop'] as const;
type Step = (typeof STEPS)[number];

/** One conversation under random steps; remembers what must not happen and fails when it does. */
function conversation(id: string, phone: string) {
  const turns: Turn[] = [];
  const claimed: ClaimedPart[] = [];
  /** Raised before a START begins, so that a claim beside it is not judged. */
  let starts = 0;
  /** The value of `starts` when the last STOP was durable; null when none was. */
  let stoppedAt: number | null = null;

  const claim = async (): Promise<void> => {
    const mustBeSilent = stoppedAt === starts;
    const startsBefore = starts;
    const ids = (await bridge.parts(id)).map((part) => part.id);
    const taken = await bridge.claim(ids);
    for (const part of taken) {
      if (!part) continue;
      const isNotice = (await bridge.parts(id)).find((row) => row.id === part.part_id)?.kind === 'notice';
      assert.ok(!mustBeSilent || isNotice || starts !== startsBefore, 'a part left after STOP was durable');
      claimed.push(part);
    }
  };

  const steps: Record<Step, () => Promise<unknown>> = {
    ingest: () => bridge.arrive(phone, 'again'),
    async start() {
      const turn = await bridge.start(id);
      if (turn) turns.push(turn);
    },
    async finish() {
      const turn = turns.at(-1);
      if (turn) await bridge.finish([reply(turn, ['one', 'two'])]);
    },
    claim,
    async record() {
      const part = claimed.shift();
      if (part) await bridge.record([sendRecord(part, { state: 'accepted', provider_id: newSid() })]);
    },
    async stop() {
      const startsBefore = starts;
      await bridge.keyword(phone, 'Stop.');
      stoppedAt = startsBefore;
    },
    async unstop() {
      starts += 1;
      await bridge.keyword(phone, 'Start!');
    },
  };
  return { steps, claim };
}

describe('STOP races', () => {
  before(async () => {
    db = await freshDatabase({ web: 6, worker: 6, admin: 2 });
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  test('after STOP is durable no part of a reply is handed out, whatever runs beside it', async () => {
    const step = fc.oneof(
      { arbitrary: fc.constantFrom<Step>('ingest', 'start', 'finish', 'claim', 'record'), weight: 6 },
      { arbitrary: fc.constant<Step>('stop'), weight: 2 },
      { arbitrary: fc.constant<Step>('unstop'), weight: 1 },
    );
    const rounds = fc.array(fc.uniqueArray(step, { minLength: 1, maxLength: 4 }), { minLength: 3, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(rounds, async (schedule) => {
        const phone = somebody();
        const id = await bridge.answered(phone, ['first', 'second', 'third']);
        const { steps, claim } = conversation(id, phone);
        for (const round of schedule) await Promise.all(round.map((name) => steps[name]()));

        await steps.stop();
        await claim();
        const waiting = (await bridge.parts(id)).filter((part) => part.kind === 'reply' && part.state === 'queued');
        assert.deepEqual(waiting, [], 'parts still wait after STOP');
        assert.equal(await bridge.start(id), null, 'a turn could start for texts from before STOP');
      }),
      runs(60),
    );
  });

  test('a turn that was running at STOP writes nothing, and its late answer is kept as late', async () => {
    const phone = somebody();
    const { conversationId } = (await bridge.arrive(phone, 'hello'))!;
    const turn = (await bridge.start(conversationId))!;
    await bridge.keyword(phone, 'Stop.');
    const exchange = {
      kind: 'agent',
      agent_id: null,
      attempt: 1,
      target: 'http://agent.test/',
      http_status: 200,
      outcome: 'reply',
      error_code: null,
      request: '{}',
      response: '{}',
      started_at: new Date(),
      duration_ms: 1,
    } as const;
    const [end] = await bridge.finish([{ ...reply(turn, ['too late']), exchanges: [exchange] }]);
    assert.equal(end, null);
    assert.deepEqual(
      (await bridge.parts(conversationId)).map((part) => part.kind),
      ['notice'],
    );
    const [kept] = await db.admin`select late from exchanges where conversation_id = ${conversationId}`;
    assert.equal(kept?.late, true);
    const [row] = await db.admin`select state from turns where id = ${turn.turnId}`;
    assert.equal(row?.state, 'cancelled');
  });

  for (const word of ['START', 'Yes']) {
    test(`${word} that came before a STOP and is handled after it brings nobody back; one that came later does`, async () => {
      const phone = somebody();
      const id = await bridge.answered(phone, ['one']);
      await bridge.keyword(phone, 'Stop.', { receivedAt: new Date().toISOString() });
      // As a spool brings it that lay on a gateway without its database.
      const asked = { receivedAt: new Date(Date.now() - 60_000).toISOString() };
      if (!(await bridge.keyword(phone, word, asked))) await bridge.arrive(phone, word, asked);
      const state = async () =>
        (await db.admin<{ state: string }[]>`select state from consents where their_address = ${phone}`)[0]?.state;
      assert.equal(await state(), 'out');
      const kept = await db.admin`select kind, refused from messages where conversation_id = ${id} and body = ${word}`;
      assert.equal(kept.length, 1, 'the text is kept');
      assert.equal(
        (await bridge.parts(id)).filter(({ kind }) => kind === 'notice').length,
        1,
        'only the STOP is answered',
      );
      assert.equal(await bridge.keyword(phone, word, { receivedAt: new Date().toISOString() }), true);
      assert.equal(await state(), 'in');
    });
  }

  test('a STOP that came before a START and is handled after it silences all the same', async () => {
    const phone = somebody();
    await bridge.answered(phone, ['one']);
    const receivedAt = new Date(Date.now() - 60_000).toISOString();
    await bridge.keyword(phone, 'Start!');
    await bridge.keyword(phone, 'Stop.', { receivedAt });
    const [row] = await db.admin`select state from consents where their_address = ${phone}`;
    assert.equal(row?.state, 'out');
  });

  test('two MOREs at once are two pieces, one after the other', async () => {
    const phone = somebody();
    const id = await bridge.answered(phone, ['one']);
    const rest = Array.from({ length: 400 }, (_, n) => `word${n}`).join(' ');
    await db.admin`update conversations set more = ${rest} where id = ${id}`;
    await Promise.all([bridge.keyword(phone, 'MORE'), bridge.keyword(phone, 'more')]);
    const said = (await bridge.parts(id)).filter(({ body }) => body.startsWith('word'));
    assert.equal(new Set(said.map(({ message_id }) => message_id)).size, 2);
    const [row] = await db.admin<{ more: string }[]>`select more from conversations where id = ${id}`;
    const words = [...said.map(({ body }) => body.replace(MORE_TAIL, '')), row!.more].join(' ').split(/\s+/);
    assert.deepEqual(words, rest.split(' '));
  });

  test('many STOPs, texts and turns of many people at once never deadlock', async () => {
    const crowd = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const phone = somebody();
        return { phone, id: await bridge.answered(phone, ['one', 'two']) };
      }),
    );
    const work = crowd.flatMap(({ phone, id }) => [
      () => bridge.arrive(phone, 'more'),
      () => bridge.start(id),
      () => bridge.keyword(phone, 'Stop.'),
      async () => bridge.claim((await bridge.parts(id)).map((part) => part.id)),
      () => bridge.keyword(phone, 'Start!'),
      async () => bridge.claim((await bridge.parts(id)).map((part) => part.id)),
    ]);
    // Interleaved across people, so that batches of different conversations meet.
    const results = await Promise.allSettled(work.map((_, i) => work[(i * 7) % work.length]!()));
    const failed = results.filter((result) => result.status === 'rejected').map((result) => String(result.reason));
    assert.deepEqual(failed, []);
  });
});
