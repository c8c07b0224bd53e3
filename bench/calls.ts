// What PostgreSQL calls a text costs, one after the other on an otherwise idle server: no HTTP, no queue, nothing beside it.
//   node bench/calls.ts [--batch 1] [--texts 600] [--anew]
// `--anew` plans each statement anew, as PostgreSQL likes to do without our setting: what keeping the plans is worth.
import { parseArgs } from 'node:util';
import {
  applyStatuses,
  claimParts,
  finishTurns,
  ingestTexts,
  recordSends,
  startTurns,
  type TurnEnd,
} from '../src/bridge/store.ts';
import { migrate } from '../src/database/migrate.ts';
import { openPools, openSql } from '../src/database/pools.ts';
import { newId } from '../src/ids.ts';
import { openDatabase } from './support/product.ts';

const OURS = '+15550001111';
const PEOPLE = 300;
const WARM_UP = 50;

const { values } = parseArgs({
  options: {
    batch: { type: 'string', default: '1' },
    texts: { type: 'string', default: '600' },
    anew: { type: 'boolean', default: false },
  },
});
const size = Number(values.batch);
const rounds = Math.round(Number(values.texts) / size);

await using stack = new AsyncDisposableStack();
const { connection } = await openDatabase(stack);
await migrate(connection);
const owner = openSql(connection, { max: 1 });
stack.defer(() => owner.end());
if (values.anew) {
  const hot = await owner<{ name: string }[]>`
    select oid::regprocedure::text as name from pg_proc
    where 'plan_cache_mode=force_generic_plan' = any (proconfig)`;
  for (const { name } of hot) await owner.unsafe(`alter function ${name} reset plan_cache_mode`);
}
const pools = await openPools(connection, { web: 1, worker: 1, admin: 1 });
stack.defer(() => pools.close());
const { web, worker } = pools;

const spent = new Map<string, number>();
async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const result = await work();
  spent.set(name, (spent.get(name) ?? 0) + performance.now() - startedMs);
  return result;
}

for (let round = -WARM_UP; round < rounds; round++) {
  if (round === 0) spent.clear();
  await oneRound(round);
}

let sum = 0;
for (const [name, ms] of spent) {
  sum += ms / rounds / size;
  process.stdout.write(`${name.padEnd(16)}${(ms / rounds).toFixed(2).padStart(8)} ms a call\n`);
}
process.stdout.write(`${'together'.padEnd(16)}${sum.toFixed(2).padStart(8)} ms a text\n`);

/** One text each of `size` people, from the webhook to `delivered`. */
async function oneRound(round: number): Promise<void> {
  const texts = Array.from({ length: size }, (_, n) => ({
    channel: 'sms' as const,
    providerId: newId(),
    from: `+1555123${String((((round * size + n) % PEOPLE) + PEOPLE) % PEOPLE).padStart(4, '0')}`,
    to: OURS,
    text: 'hello there',
    media: [],
    optOutHandled: null,
    refused: null,
  }));
  const taken = await timed('ingest_texts', () => ingestTexts(web, texts, { quietMs: 0, optOutScope: null }));
  const ids = taken.map((text) => text!.conversationId);
  const jobs = await owner<{ id: string; token: number }[]>`
    select id, token from conversations where id = any (${ids}::uuid[])`;
  const starts = await timed('start_turns', () =>
    startTurns(
      worker,
      jobs.map(({ id, token }) => ({ conversationId: id, token })),
      { quietMs: 0, maxTexts: 50 },
    ),
  );
  const ended = await timed('finish_turns', () => finishTurns(worker, starts.map(answer), { pacing: false }));
  const parts = ended.map((end) => end!.sendNow!);
  const claimed = await timed('claim_parts', () => claimParts(worker, parts, null, 'bench'));
  const sids = new Map(parts.map((part) => [part, `SM${part.replaceAll('-', '')}`]));
  await timed('record_sends', () =>
    recordSends(
      worker,
      claimed.map((part) => ({
        part_id: part!.part_id,
        conversation_id: part!.conversation_id,
        attempts: part!.attempts,
        state: 'accepted' as const,
        provider_id: sids.get(part!.part_id)!,
        segments: 1,
        error_code: null,
        error_reason: null,
        run_at_ms: null,
        opted_out: false,
        exchanges: [{ ...exchange('send'), http_status: 201 }],
      })),
      null,
    ),
  );
  for (const state of ['sent', 'delivered'] as const) {
    const reports = parts.map((part) => ({
      part_id: part,
      provider_id: sids.get(part)!,
      state,
      error_code: null,
      opted_out: false,
    }));
    await timed(`status ${state}`, () => applyStatuses(web, reports, null));
  }
}

function answer(start: Awaited<ReturnType<typeof startTurns>>[number]): TurnEnd {
  if (start?.kind !== 'turn') throw new Error('a turn did not start');
  const { turn } = start;
  return {
    conversation_id: turn.conversationId,
    turn_id: turn.turnId,
    session_id: turn.sessionId,
    epoch: turn.epoch,
    state: 'replied',
    agent_id: null,
    attempts: 1,
    error_code: null,
    kind: 'reply',
    body: 'hello back',
    parts: [{ text: 'hello back', segments: 1 }],
    more: null,
    end_session: false,
    deferred_until: null,
    exchanges: [exchange('agent')],
  };
}

function exchange(kind: 'agent' | 'send') {
  return {
    kind,
    agent_id: null,
    attempt: 1,
    target: 'https://agent.example.com/',
    http_status: 200,
    outcome: 'ok',
    error_code: null,
    request: 'r'.repeat(500),
    response: 's'.repeat(300),
    started_at: new Date(),
    duration_ms: 1,
  };
}
