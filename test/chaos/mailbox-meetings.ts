// What gateways, workers, operators, agents and the carrier do to one conversation, each pair of it at the same moment (meetings.ts).
import { closeDeferred } from '../../src/bridge/posts.ts';
import {
  applyStatuses,
  type ClaimedPart,
  claimParts,
  finishTurns,
  giveBack,
  ingestTexts,
  recordSends,
  type SendRecord,
  startTurns,
  type Turn,
  type TurnEnd,
  tellToWait,
} from '../../src/bridge/store.ts';
import { endTakeover, handBack, sendAsOperator, takeOver } from '../../src/inbox/takeover.ts';
import { bridgeOf, inbound, OURS, reply, sendRecord, somebody } from '../support/bridge.ts';
import type { TestDatabase } from '../support/database.ts';
import { newSid } from '../support/signed-webhook.ts';
import { type Act, type Play, verdictOf } from './meetings.ts';

/** A conversation, and what those who act on it hold in their hands. */
type Scene = {
  readonly phone: string;
  readonly id: string;
  readonly agent: string;
  token: number;
  turn: Turn | null;
  /** Parts that have a job. */
  due: string[];
  claimed: ClaimedPart | null;
  /** At the carrier. */
  taken: { readonly part_id: string; readonly provider_id: string } | null;
};

const POOL = 'a pool that is gone';
const POLICY = { optOutScope: null, pacing: false, takeoverMinutes: 30, quietMs: 0, maxTexts: 50 };
const IN_TEN_MINUTES = new Date(Date.now() + 600_000);
const SILENT = { kind: null, body: null, parts: [] } as const;

const parts = (text: string) => JSON.stringify([{ text, segments: 1 }]);

function keyword(word: 'stop' | 'start' | 'help' | 'reset'): Act<Scene> {
  return {
    as: 'web',
    async run({ phone }, sql) {
      await sql`
        select from apply_keyword('sms', ${newSid()}, ${OURS}, ${phone}, ${word}, ${word}, null, ${word}, ${parts(word)}::text::json,
          null, false, null, null)`;
    },
  };
}

function ends(how: Partial<TurnEnd> = {}): Act<Scene> {
  return {
    as: 'worker',
    async run({ turn, agent }, sql) {
      if (turn === null) return;
      const [ended] = await finishTurns(sql, [{ ...reply(turn, ['one', 'two']), agent_id: agent, ...how }], POLICY);
      return ended && { ...ended, sendNow: ended.sendNow !== null };
    },
  };
}

function records(news: Pick<SendRecord, 'state'> & Partial<SendRecord>): Act<Scene> {
  return {
    as: 'worker',
    async run({ claimed }, sql) {
      if (claimed === null) return;
      const provider_id = news.state === 'accepted' ? newSid() : null;
      await recordSends(sql, [sendRecord(claimed, { ...news, provider_id, run_at_ms: 5_000 })], null);
    },
  };
}

function reports(state: 'delivered' | 'undelivered', opted_out = false): Act<Scene> {
  return {
    as: 'web',
    run: async ({ taken }, sql) =>
      taken && applyStatuses(sql, [{ ...taken, state, error_code: null, opted_out }], null),
  };
}

function posts(key: 'late' | 'own'): Act<Scene> {
  return {
    as: 'web',
    async run({ id, agent, turn }, sql) {
      const inReplyTo = key === 'late' ? (turn?.requestId ?? null) : null;
      const [row] = await sql<{ verdict: string }[]>`
        select verdict from post_message(${agent}, ${id}, ${inReplyTo}, ${key}, 'posted', ${parts('posted')}::text::json, null, null, false)`;
      return row!.verdict;
    },
  };
}

function takes(by: string): Act<Scene> {
  return { as: 'web', run: ({ id }, sql) => verdictOf(takeOver(sql, { conversationId: id, by }, POLICY)) };
}

const ACTS = {
  'a text': {
    as: 'web',
    async run({ phone }, sql) {
      const [taken] = await ingestTexts(sql, [{ ...inbound(phone, 'more'), refused: null }], POLICY);
      return taken?.refused;
    },
  },
  STOP: keyword('stop'),
  START: keyword('start'),
  HELP: keyword('help'),
  RESET: keyword('reset'),
  USE: {
    as: 'web',
    async run({ phone, agent }, sql) {
      await sql`
        select apply_choice('sms', ${newSid()}, ${OURS}, ${phone}, 'use it', ${agent}, 'chat', null, 'it is', ${parts('it is')}::text::json,
          false)`;
    },
  },
  'a start': {
    as: 'worker',
    async run({ id, token }, sql) {
      const [started] = await startTurns(sql, [{ conversationId: id, token }], POLICY);
      return started?.kind === 'turn' ? started.turn.texts.map(({ body }) => body) : started;
    },
  },
  'an answer': ends(),
  'an answer that ends the session': ends({ end_session: true }),
  'an answer by nobody': ends({ state: 'fell_back', kind: 'fallback' }),
  'a 202': ends({ state: 'deferred', deferred_until: IN_TEN_MINUTES, ...SILENT }),
  'an interruption': ends({ state: 'interrupted', ...SILENT }),
  'wait a moment': {
    as: 'worker',
    async run({ turn }, sql) {
      const notice = { body: 'wait', parts: [{ text: 'wait', segments: 1 }] };
      return turn !== null && (await tellToWait(sql, turn, notice, POLICY)) !== null;
    },
  },
  'a job given back': { as: 'worker', run: ({ id, token }, sql) => giveBack(sql, { conversationId: id, token }, 0) },
  'a claim': {
    as: 'worker',
    run: async ({ due }, sql) => (await claimParts(sql, due, null, POOL)).map((part) => part?.attempts),
  },
  accepted: records({ state: 'accepted' }),
  refused: records({ state: 'queued', error_code: '20429' }),
  'refused: opted out': records({ state: 'failed', error_code: '21610', opted_out: true }),
  failed: records({ state: 'failed', error_code: '30006' }),
  'an unknown end': records({ state: 'unknown' }),
  delivered: reports('delivered'),
  undelivered: reports('undelivered'),
  'undelivered: opted out': reports('undelivered', true),
  'a takeover': takes('Ida'),
  'a takeover by another': takes('Bo'),
  'an operator’s word': {
    as: 'web',
    run: ({ id }, sql) =>
      verdictOf(sendAsOperator(sql, { conversationId: id, by: 'Ida', text: 'Ida.', idempotencyKey: 'k' }, POLICY)),
  },
  'handing back': { as: 'web', run: ({ id }, sql) => verdictOf(handBack(sql, { conversationId: id, by: 'Ida' })) },
  'a look at a takeover': { as: 'worker', run: ({ id }, sql) => endTakeover(sql, id) },
  'a late answer': posts('late'),
  'an agent’s own text': posts('own'),
  'the end of a 202': {
    as: 'worker',
    run: async ({ turn }, sql) => turn !== null && closeDeferred(sql, turn.turnId, false),
  },
} satisfies Readonly<Record<string, Act<Scene>>>;

export async function mailboxPlay(db: TestDatabase): Promise<Play<Scene>> {
  const bridge = bridgeOf(db);
  const [row] = await db.admin<{ id: string }[]>`
    insert into agent_registry (name, endpoint_url, api_key_hash, secrets)
    values ('an agent', 'http://127.0.0.1:9/', uuid_send(new_id()), '') returning id`;
  const agent = row!.id;

  const begin = async (scene: Scene) => {
    scene.turn = await bridge.start(scene.id);
  };
  const claim = async (scene: Scene) => {
    const [first] = await bridge.parts(scene.id);
    [scene.claimed] = (await bridge.claim([first!.id])) as [ClaimedPart];
  };
  const accept = async (scene: Scene) => {
    scene.taken = { part_id: scene.claimed!.part_id, provider_id: newSid() };
    await recordSends(db.pools.worker, [sendRecord(scene.claimed!, { state: 'accepted', ...scene.taken })], null);
  };
  type Step = keyof typeof ACTS | ((scene: Scene) => Promise<void>);

  /** A first text, and what came after it. */
  function after(...steps: readonly Step[]): () => Promise<Scene> {
    return async () => {
      // The jobs that are left in the end are those of this scene.
      await db.admin`delete from graphile_worker._private_jobs`;
      const phone = somebody();
      const { conversationId: id } = (await bridge.arrive(phone, 'first'))!;
      const scene: Scene = { phone, id, agent, token: 0, turn: null, due: [], claimed: null, taken: null };
      for (const step of steps) {
        if (typeof step === 'function') await step(scene);
        else await ACTS[step].run(scene, db.pools[ACTS[step].as]);
      }
      const [now] = await db.admin<{ token: number; due: string[] }[]>`
        select token, array(
          select p.id from graphile_worker._private_jobs j join outbound_parts p on p.id = (j.payload ->> 'p')::uuid
          where j.key = 'send:' || p.id order by p.position) as due
        from conversations where id = ${id}`;
      return Object.assign(scene, now);
    };
  }

  return {
    acts: ACTS,
    scenes: {
      'a text waits': after(),
      'a turn runs': after(begin),
      'a turn runs and a text waits': after(begin, 'a text'),
      'an answer waits': after(begin, 'an answer'),
      'an answer leaves': after(begin, 'an answer', claim),
      'the carrier has an answer': after(begin, 'an answer', claim, accept),
      'nobody knows whether an answer left': after(begin, 'an answer', claim, 'an unknown end'),
      'an answer leaves while a turn runs': after(begin, 'an answer', claim, 'a text', begin),
      'an agent speaks up while a turn runs': after(
        begin,
        'an answer',
        claim,
        accept,
        'an agent’s own text',
        'a text',
        begin,
      ),
      'an answer is put off and a text waits': after(begin, 'a 202', 'a text'),
      'an operator has a text': after('a takeover'),
      'an operator has a text while an answer leaves': after(begin, 'an answer', claim, 'a takeover', 'a text'),
      'an answer leaves after a STOP': after(begin, 'an answer', claim, 'STOP'),
    },
    left: async ({ id }) => {
      const [known] = await db.admin`
        select c.token, c.epoch, c.last_seq, c.done_seq, c.out_seq, c.out_head, c.running_turn is not null as runs, c.takeover_by,
          c.attempts, c.interrupts, c.first_pending_at is not null as waits, c.session_id is not null as has_session,
          c.outage_told_at is not null as was_told, cardinality(c.answered_at) as answers,
          (select state from consents k where k.their_address = c.their_address) as consent,
          array(select concat_ws(' ', state, from_seq, to_seq, epoch, error_code, reply_id is not null, ended_at is not null)
            from turns where conversation_id = c.id order by id) as turns,
          array(select concat_ws(' ', direction, kind, seq, body, refused)
            from messages where conversation_id = c.id order by id) as messages,
          array(select concat_ws(' ', position, kind, state, attempts, error_code, recalled, provider_id is not null, body)
            from outbound_parts where conversation_id = c.id order by position) as parts,
          array(select concat_ws(' ', is_active, end_reason, agent_id is not null, proactive_left, thread ->> 'missed')
            from agent_sessions where conversation_id = c.id order by id) as sessions,
          array(select concat_ws(' ', split_part(j.key, ':', 1), p.position, j.payload ->> 't',
              j.run_at > j.updated_at + interval '1 s')
            from graphile_worker._private_jobs j left join outbound_parts p on p.id = (j.payload ->> 'p')::uuid order by 1) as jobs
        from conversations c where c.id = ${id}`;
      return known;
    },
  };
}
