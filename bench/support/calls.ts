// The six SQL calls of a text, as the product makes them, one after the other and timed.
import {
  applyStatuses,
  claimParts,
  finishTurns,
  ingestTexts,
  recordSends,
  startTurns,
  type TurnEnd,
} from '../../src/bridge/store.ts';
import type { Sql } from '../../src/database/pools.ts';
import { newId } from '../../src/ids.ts';

export type Calls = {
  /** One text from each of these people, from the webhook to `delivered`. */
  round(people: readonly string[]): Promise<void>;
  /** Milliseconds of every call so far, by its name, in the order of a text. */
  readonly spentMs: ReadonlyMap<string, number[]>;
  /** What was measured so far was a warm-up. */
  forget(): void;
};

/** `owner` may read everything: between two calls it looks up what the job queue would have carried. */
export function createCalls({ web, worker, owner }: { web: Sql; worker: Sql; owner: Sql }, ourNumber: string): Calls {
  const spentMs = new Map<string, number[]>();

  async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    const result = await work();
    const ms = performance.now() - startedMs;
    const all = spentMs.get(name);
    if (all === undefined) spentMs.set(name, [ms]);
    else all.push(ms);
    return result;
  }

  async function round(people: readonly string[]): Promise<void> {
    const texts = people.map((from) => ({
      channel: 'sms' as const,
      providerId: newId(),
      from,
      to: ourNumber,
      // Never twice the same words: that is how a machine is told from a person.
      text: `hello ${newId()}`,
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

  return { round, spentMs, forget: () => spentMs.clear() };
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
