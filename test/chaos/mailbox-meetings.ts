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
import { endTakeover, handBack, type OperatorPolicy, sendAsOperator, takeOver } from '../../src/inbox/takeover.ts';
import { bridgeOf, inbound, OURS, reply, sendRecord, somebody } from '../support/bridge.ts';
import type { TestDatabase } from '../support/database.ts';
import { newSid } from '../support/signed-webhook.ts';
import { type Act, type Play, verdictOf } from './meetings.ts';

type Policy = OperatorPolicy & { readonly quietMs: number; readonly maxTexts: number };

/** A conversation, and what those who act on it hold in their hands. */
type Scene = {
  readonly policy: Policy;
  readonly phone: string;
  readonly id: string;
  readonly agent: string;
  /** When it was made, by the database's clock: webhooks came after it, one after the other. */
  at: string | null;
  token: number;
  turn: Turn | null;
  /** Parts that have a job. */
  due: string[];
  /** The same of their conversation with another number of ours, when there is one. */
  dueThere: string[];
  claimed: ClaimedPart | null;
  /** At the carrier. */
  taken: { readonly part_id: string; readonly provider_id: string } | null;
};

const POOL = 'a pool that is gone';
const PLAIN: Policy = { optOutScope: null, pacing: false, takeoverMinutes: 30, quietMs: 0, maxTexts: 50 };
/** All numbers in one messaging service, and all that leaves in the limits of a campaign. */
const LIMITED: Policy = { ...PLAIN, optOutScope: 'MG0123456789abcdef0123456789abcdef', pacing: true };
/** Another number of ours. */
const OURS_TOO = '+15550001112';
const IN_TEN_MINUTES = new Date(Date.now() + 600_000);
const SILENT = { kind: null, body: null, parts: [] } as const;

const parts = (text: string) => JSON.stringify([{ text, segments: 1 }]);

function keyword(word: 'stop' | 'start' | 'help' | 'reset', to = OURS): Act<Scene> {
  return {
    as: 'web',
    async run({ phone, policy, at }, sql, place) {
      await sql`
        select from apply_keyword('sms', ${newSid()}, ${to}, ${phone}, ${word}, ${word}, ${policy.optOutScope}, ${word},
          ${parts(word)}::text::json, null, ${policy.pacing},
          ${at}::text::timestamptz + ${place} * interval '1 us', null)`;
    },
  };
}

function ends(how: Partial<TurnEnd> = {}): Act<Scene> {
  return {
    as: 'worker',
    async run({ turn, agent, policy }, sql) {
      if (turn === null) return;
      const [ended] = await finishTurns(sql, [{ ...reply(turn, ['one', 'two']), agent_id: agent, ...how }], policy);
      return ended && { ...ended, sendNow: ended.sendNow !== null };
    },
  };
}

function records(news: Pick<SendRecord, 'state'> & Partial<SendRecord>): Act<Scene> {
  return {
    as: 'worker',
    async run({ claimed, policy }, sql) {
      if (claimed === null) return;
      const provider_id = news.state === 'accepted' ? newSid() : null;
      await recordSends(sql, [sendRecord(claimed, { ...news, provider_id, run_at_ms: 5_000 })], policy.optOutScope);
    },
  };
}

function reports(state: 'delivered' | 'undelivered', opted_out = false): Act<Scene> {
  return {
    as: 'web',
    run: async ({ taken, policy }, sql) =>
      taken && applyStatuses(sql, [{ ...taken, state, error_code: null, opted_out }], policy.optOutScope),
  };
}

function posts(key: 'late' | 'own'): Act<Scene> {
  return {
    as: 'web',
    async run({ id, agent, turn, policy }, sql) {
      const inReplyTo = key === 'late' ? (turn?.requestId ?? null) : null;
      const [row] = await sql<{ verdict: string }[]>`
        select verdict from post_message(${agent}, ${id}, ${inReplyTo}, ${key}, 'posted', ${parts('posted')}::text::json, null,
          ${policy.optOutScope}, ${policy.pacing})`;
      return row!.verdict;
    },
  };
}

function takes(by: string): Act<Scene> {
  return { as: 'web', run: ({ id, policy }, sql) => verdictOf(takeOver(sql, { conversationId: id, by }, policy)) };
}

const ACTS = {
  'a text': {
    as: 'web',
    async run({ phone, policy }, sql) {
      const [taken] = await ingestTexts(sql, [{ ...inbound(phone, 'more'), refused: null }], policy);
      return taken?.refused;
    },
  },
  STOP: keyword('stop'),
  START: keyword('start'),
  'STOP to the other number': keyword('stop', OURS_TOO),
  HELP: keyword('help'),
  RESET: keyword('reset'),
  USE: {
    as: 'web',
    async run({ phone, agent, policy }, sql) {
      await sql`
        select apply_choice('sms', ${newSid()}, ${OURS}, ${phone}, 'use it', ${agent}, 'chat', ${policy.optOutScope}, 'it is',
          ${parts('it is')}::text::json, ${policy.pacing})`;
    },
  },
  'a start': {
    as: 'worker',
    async run({ id, token, policy }, sql) {
      const [started] = await startTurns(sql, [{ conversationId: id, token }], policy);
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
    async run({ turn, policy }, sql) {
      const notice = { body: 'wait', parts: [{ text: 'wait', segments: 1 }] };
      return turn !== null && (await tellToWait(sql, turn, notice, policy)) !== null;
    },
  },
  'a job given back': { as: 'worker', run: ({ id, token }, sql) => giveBack(sql, { conversationId: id, token }, 0) },
  'a claim': {
    as: 'worker',
    run: async ({ due, policy }, sql) =>
      (await claimParts(sql, due, policy.optOutScope, POOL)).map((part) => part?.attempts),
  },
  'a claim at the other number': {
    as: 'worker',
    run: async ({ dueThere, policy }, sql) =>
      (await claimParts(sql, dueThere, policy.optOutScope, POOL)).map((part) => part?.attempts),
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
    run: ({ id, policy }, sql) =>
      verdictOf(sendAsOperator(sql, { conversationId: id, by: 'Ida', text: 'Ida.', idempotencyKey: 'k' }, policy)),
  },
  'handing back': { as: 'web', run: ({ id }, sql) => verdictOf(handBack(sql, { conversationId: id, by: 'Ida' })) },
  'a look at a takeover': { as: 'worker', run: ({ id }, sql) => endTakeover(sql, id) },
  'a late answer': posts('late'),
  'an agent’s own text': posts('own'),
  'the end of a 202': {
    as: 'worker',
    run: async ({ turn, policy }, sql) => turn !== null && closeDeferred(sql, turn.turnId, policy.pacing),
  },
} satisfies Readonly<Record<string, Act<Scene>>>;

/** On a number by itself without pacing, or on one with everything that limits what leaves. */
export async function mailboxPlay(db: TestDatabase, isLimited = false): Promise<Play<Scene>> {
  const policy = isLimited ? LIMITED : PLAIN;
  const bridge = bridgeOf(db, policy);
  const [row] = await db.admin<{ id: string }[]>`
    insert into agent_registry (name, endpoint_url, api_key_hash, secrets)
    values ('an agent', 'http://127.0.0.1:9/', uuid_send(new_id()), '') returning id`;
  const agent = row!.id;

  if (isLimited) {
    const { admin } = db;
    const [brand] = await admin`insert into brands (name, daily_segments) values ('a brand', 1000000) returning id`;
    const [campaign] = await admin`
      insert into campaigns (name, brand_id, segments_per_minute) values ('a campaign', ${brand!.id}, 1000000) returning id`;
    for (const address of [OURS, OURS_TOO]) {
      const number = { address, campaign_id: campaign!.id, segments_per_second: 1000 };
      await admin`insert into phone_numbers ${admin(number)} on conflict (address) do update set
        campaign_id = excluded.campaign_id, segments_per_second = excluded.segments_per_second`;
    }
  }

  /** An answer that waits in their conversation with the other number. */
  const answeredThere = async (phone: string) => {
    const { conversationId } = (await bridge.arrive(phone, 'hello', { to: OURS_TOO }))!;
    await bridge.finish([reply((await bridge.start(conversationId))!, ['there'])]);
  };

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
      await db.admin`truncate sender_pacing, pacing_windows`;
      const phone = somebody();
      if (isLimited) await answeredThere(phone);
      const { conversationId: id } = (await bridge.arrive(phone, 'first'))!;
      const scene: Scene = {
        policy,
        phone,
        id,
        agent,
        at: null,
        token: 0,
        turn: null,
        due: [],
        dueThere: [],
        claimed: null,
        taken: null,
      };
      for (const step of steps) {
        if (typeof step === 'function') await step(scene);
        else await ACTS[step].run(scene, db.pools[ACTS[step].as], 0);
      }
      const [now] = await db.admin<{ at: string; token: number; due: string[]; dueThere: string[] }[]>`
        with due as (
          select p.id, p.position, p.conversation_id = ${id} as is_here
          from graphile_worker._private_jobs j join outbound_parts p on p.id = (j.payload ->> 'p')::uuid
          where j.key = 'send:' || p.id
        )
        select clock_timestamp()::text as at, token, array(select id from due where is_here order by position) as due,
          array(select id from due where not is_here order by position) as "dueThere"
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
          array(select state from consents k where k.their_address = c.their_address order by scope) as consents,
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
            from graphile_worker._private_jobs j left join outbound_parts p on p.id = (j.payload ->> 'p')::uuid order by 1) as jobs,
          array(select concat_ws(' ', o.our_address, p.position, p.state, p.error_code, p.attempts, p.recalled)
            from outbound_parts p join conversations o on o.id = p.conversation_id
            where o.their_address = c.their_address and o.id <> c.id order by p.position) as parts_there,
          (select json_agg(w) from (
            select sum(taken)::int as taken, sum(planned)::int as planned
            from pacing_windows group by holder order by holder) w) as limits
        from conversations c where c.id = ${id}`;
      return known;
    },
  };
}
