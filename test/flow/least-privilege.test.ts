// What each of the three roles may do, pinned: the table below is the whole of it, and the statements after it are tried for
// real. A new table, function or grant fails here until somebody has decided who may touch it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Sql } from '../../src/database/pools.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

const ROLES = ['darkspere_web', 'darkspere_worker'] as const;
type RoleName = (typeof ROLES)[number];

/** Rights on tables and views: s(elect) i(nsert) u(pdate) d(elete); what is not listed is nothing at all. */
const TABLES: Readonly<Record<string, Readonly<Record<RoleName, string>>>> = {
  adapter_sessions: { darkspere_web: '', darkspere_worker: 'siud' },
  // Web reads all of it but the column with the secrets.
  agent_registry: { darkspere_web: 'iu', darkspere_worker: 'su' },
  // Web reads all but the secrets, and prolongs what holds.
  agent_copies: { darkspere_web: 'd', darkspere_worker: 's' },
  agent_chats: { darkspere_web: 's', darkspere_worker: '' },
  agent_call_times: { darkspere_web: '', darkspere_worker: '' },
  agent_health_checks: { darkspere_web: 's', darkspere_worker: 's' },
  agent_health_history: { darkspere_web: 's', darkspere_worker: '' },
  agent_health_looks: { darkspere_web: 's', darkspere_worker: '' },
  agent_health_summary: { darkspere_web: 's', darkspere_worker: 's' },
  agent_sessions: { darkspere_web: 's', darkspere_worker: 's' },
  agent_slots: { darkspere_web: 's', darkspere_worker: '' },
  // Web marks when it was used, and nothing else.
  api_keys: { darkspere_web: 's', darkspere_worker: '' },
  // Web ends sessions; they begin in redeem_login_token.
  auth_sessions: { darkspere_web: 'sd', darkspere_worker: '' },
  allowed_recipients: { darkspere_web: '', darkspere_worker: '' },
  brands: { darkspere_web: '', darkspere_worker: '' },
  campaigns: { darkspere_web: '', darkspere_worker: '' },
  circuit_states: { darkspere_web: 's', darkspere_worker: 's' },
  consents: { darkspere_web: 's', darkspere_worker: 's' },
  contacts: { darkspere_web: 's', darkspere_worker: 's' },
  conversations: { darkspere_web: 's', darkspere_worker: 's' },
  conversation_activity: { darkspere_web: 's', darkspere_worker: '' },
  exchanges: { darkspere_web: 's', darkspere_worker: 's' },
  live_watchers: { darkspere_web: '', darkspere_worker: '' },
  login_tokens: { darkspere_web: '', darkspere_worker: '' },
  message_log: { darkspere_web: 's', darkspere_worker: 's' },
  message_words: { darkspere_web: 's', darkspere_worker: '' },
  messages: { darkspere_web: 's', darkspere_worker: 's' },
  outbound_parts: { darkspere_web: 's', darkspere_worker: 's' },
  pacing_windows: { darkspere_web: '', darkspere_worker: '' },
  partitioned_tables: { darkspere_web: 's', darkspere_worker: 's' },
  phone_numbers: { darkspere_web: 's', darkspere_worker: 's' },
  program_limits: { darkspere_web: '', darkspere_worker: '' },
  program_texts: { darkspere_web: '', darkspere_worker: '' },
  replays: { darkspere_web: 's', darkspere_worker: '' },
  schema_migrations: { darkspere_web: 's', darkspere_worker: 's' },
  schema_repeatables: { darkspere_web: '', darkspere_worker: '' },
  sender_pacing: { darkspere_web: '', darkspere_worker: '' },
  session_failovers: { darkspere_web: 's', darkspere_worker: 's' },
  turns: { darkspere_web: 's', darkspere_worker: 's' },
  webhook_receipts: { darkspere_web: '', darkspere_worker: 's' },
  worker_pools: { darkspere_web: '', darkspere_worker: 'siud' },
};

/** The functions each role may call. The ones in neither list are parts of others and run only inside them. */
const FUNCTIONS: Readonly<Record<RoleName, readonly string[]>> = {
  darkspere_web: [
    'agents_to_choose',
    'apply_choice',
    'apply_keyword',
    'apply_statuses',
    'call_times_by_slot',
    'conversation_context',
    'deferred_conversations',
    'ended_turns',
    'find_provider_id',
    'find_words',
    'hand_back',
    'has_index',
    'has_sends_under_way',
    'indexed_until',
    'ingest_texts',
    'keyword_state',
    'may_text',
    'operator_message',
    'operator_totals',
    'post_message',
    'program_text',
    'redeem_login_token',
    'register_agent',
    'request_chat',
    'request_probe',
    'request_replay',
    'rotate_agent_key',
    'rotate_agent_secret',
    'send_replay',
    'stop_watching',
    'take_over',
    'unknown_conversations',
    'waiting_conversations',
    'waiting_totals',
    'watch_live',
  ],
  darkspere_worker: [
    'add_blocks',
    'apply_statuses',
    'begin_probe',
    'blocks_to_index',
    'claim_parts',
    'claim_slots',
    'claim_trial',
    'close_deferred',
    'conversation_context',
    'drop_old_partitions',
    'end_idle_sessions',
    'end_probe',
    'end_takeover',
    'ensure_partitions',
    'ensure_probes',
    'finish_chat',
    'finish_replay',
    'finish_turns',
    'give_back',
    'indexed_until',
    'keep_health_history',
    'prune_chats',
    'prune_health',
    'prune_index',
    'prune_receipts',
    'prune_replays',
    'record_call_times',
    'record_sends',
    'release_trial',
    'renew_slots',
    'rescue_conversations',
    'rescue_parts',
    'schedule_probe',
    'shift_times',
    'slots_in_use',
    'start_chat',
    'start_replay',
    'start_turns',
    'tell_to_wait',
    'worth_sending',
  ],
};
/** Pure: they read no table. */
const HARMLESS = ['id_at', 'id_time', 'is_held', 'new_id', 'state_rank'];

describe('the roles of the database', () => {
  let db: TestDatabase;
  let as: Record<RoleName, Sql>;
  before(async () => {
    db = await freshDatabase();
    as = { darkspere_web: db.pools.web, darkspere_worker: db.pools.worker };
    await db.admin`insert into phone_numbers (address) values ('+15550001111')`;
  });
  after(() => db.drop());

  it('have these rights on tables and views, and no others', async () => {
    const rows = await db.admin<{ name: string; role: RoleName; rights: string }[]>`
      select c.relname as name, role,
        concat(
          case when has_table_privilege(role, c.oid, 'select') then 's' end,
          case when has_table_privilege(role, c.oid, 'insert') then 'i' end,
          case when has_table_privilege(role, c.oid, 'update') then 'u' end,
          case when has_table_privilege(role, c.oid, 'delete') then 'd' end,
          case when has_table_privilege(role, c.oid, 'truncate, references, trigger') then '!' end) as rights
      from pg_class c cross join unnest(${[...ROLES]}::text[]) role
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
      order by 1, 2`;
    const found: Record<string, Record<string, string>> = {};
    for (const { name, role, rights } of rows) found[name] = { ...found[name], [role]: rights };
    assert.deepEqual(found, TABLES);
  });

  it('cannot go around a table through its partitions', async () => {
    const open = await db.admin`
      select c.relname, role from pg_class c cross join unnest(${[...ROLES]}::text[]) role
      where c.relispartition and has_table_privilege(role, c.oid, 'select, insert, update, delete, truncate')`;
    assert.deepEqual([...open], []);
  });

  it('may call these functions, and no others', async () => {
    const rows = await db.admin<{ name: string; role: RoleName }[]>`
      select p.proname as name, role from pg_proc p cross join unnest(${[...ROLES]}::text[]) role
      where p.pronamespace = 'public'::regnamespace and has_function_privilege(role, p.oid, 'execute')
        and p.proname <> all (${HARMLESS})
      order by p.proname`;
    for (const role of ROLES) {
      const names = [...new Set(rows.filter((row) => row.role === role).map((row) => row.name))];
      assert.deepEqual(names.sort(), [...FUNCTIONS[role]].sort(), role);
    }
  });

  it('leave nothing to a login that is none of them', async () => {
    const rows = await db.admin<{ name: string }[]>`
      select p.proname as name from pg_proc p
      where p.pronamespace = 'public'::regnamespace and has_function_privilege('public', p.oid, 'execute')
        and p.proname <> all (${HARMLESS})
      union all
      select c.relname from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'S')
        and exists (select from aclexplode(c.relacl) where grantee = 0)`;
    assert.deepEqual([...rows], []);
  });

  it('meet a fixed search path in every function that runs with the rights of its owner', async () => {
    const loose = await db.admin`
      select proname from pg_proc
      where pronamespace = 'public'::regnamespace and prosecdef
        and not coalesce(proconfig, '{}') @> array['search_path=public, pg_temp']`;
    assert.deepEqual([...loose], []);
  });

  const forbidden: readonly (readonly [string, readonly RoleName[], string])[] = [
    ['make a table', ROLES, 'create table mine (id int)'],
    ['make a function', ROLES, `create function mine() returns int language sql as 'select 1'`],
    ['drop a table', ROLES, 'drop table messages'],
    ['change a table', ROLES, 'alter table messages add column mine text'],
    ['empty a table', ROLES, 'truncate messages'],
    ['index a table', ROLES, 'create index on messages (body)'],
    ['change what was exchanged', ROLES, `update exchanges set response = ''`],
    ['take texts out of the search', ROLES, 'delete from message_words'],
    ['read the secrets of agents', ['darkspere_web'], 'select secrets from agent_registry'],
    ['read the ids of webhooks', ['darkspere_web'], 'select * from webhook_receipts'],
    [
      'write a message past the mailbox',
      ROLES,
      `insert into messages (conversation_id, direction, kind, body) values (new_id(), 'in', 'text', 'x')`,
    ],
    ['change what was said', ROLES, `update messages set body = 'x'`],
    ['forget what was said', ROLES, 'delete from messages'],
    ['wind a conversation back', ROLES, 'update conversations set done_seq = 0'],
    ['end a turn by hand', ROLES, `update turns set state = 'replied'`],
    [
      'queue a part past the pacing',
      ROLES,
      `insert into outbound_parts (conversation_id, message_id, position, kind, body, segments, send_at) values (new_id(), new_id(), 1, 'reply', 'x', 1, now())`,
    ],
    ['overrule an opt-out', ROLES, `update consents set state = 'in'`],
    ['add a number', ROLES, `insert into phone_numbers (address) values ('+15550002222')`],
    [
      'let a program text somebody',
      ROLES,
      `insert into allowed_recipients (address, consent) values ('+15557654321', 'x')`,
    ],
    ['raise what a program may send', ROLES, 'update program_limits set segments_per_day = 1000000'],
    ['forget what a program has sent', ROLES, 'delete from program_texts'],
    ['raise what a campaign may send', ROLES, 'update campaigns set segments_per_minute = null'],
    ['forget what was sent today', ROLES, 'delete from pacing_windows'],
    ['change how a number behaves', ROLES, 'update phone_numbers set segments_per_second = 1000'],
    [
      'register an agent',
      ['darkspere_worker'],
      `insert into agent_registry (name, endpoint_url, api_key_hash, secrets) values ('x', 'x', '', '')`,
    ],
    ['remove an agent', ROLES, 'delete from agent_registry'],
    ['read or fake who is alive', ['darkspere_web'], 'delete from worker_pools'],
    ['see the jobs', ['darkspere_web'], 'select * from graphile_worker._private_jobs'],
    ['add a job by hand', ['darkspere_web'], `select graphile_worker.add_job('send', '{}')`],
    ['make up what an agent said', ROLES, `update replays set reply = 'x'`],
    ['pretend that somebody watches', ROLES, 'insert into live_watchers values (new_id(), now())'],
    ['call a part of a function', ROLES, `select opt_out('sms', 'x', 'x', null, now())`],
    ['start turns', ['darkspere_web'], `select start_turns('[]', 0, 1)`],
    ['take in texts', ['darkspere_worker'], `select ingest_texts('[]', 0, null)`],
    ['pretend that a migration ran', ROLES, `insert into schema_migrations (name, checksum) values ('x', 'x')`],
    ['read the passwords of the server', ROLES, 'select * from pg_authid'],
    ['read files of the server', ROLES, `select pg_read_file('/etc/hostname')`],
  ];
  for (const [what, roles, statement] of forbidden) {
    for (const role of roles) {
      it(`do not let ${role} ${what}`, async () => {
        // 42501: insufficient_privilege. Any other error would mean that the statement itself is wrong.
        await assert.rejects(as[role].unsafe(statement), { code: '42501' });
      });
    }
  }

  it('let the text path through all the same', async () => {
    const texts = JSON.stringify([
      {
        ord: 0,
        channel: 'sms',
        provider_id: 'SM1',
        ours: '+15550001111',
        theirs: '+15557654321',
        body: 'hello',
        media: [],
      },
    ]);
    const [taken] = await as.darkspere_web<{ conversation_id: string }[]>`
      select conversation_id from ingest_texts(${texts}::text::json, 0, null)`;
    const jobs = JSON.stringify([{ c: taken!.conversation_id, t: 1 }]);
    await as.darkspere_worker`select from start_turns(${jobs}::text::json, 0, 50)`;
    const [message] = await as.darkspere_web<{ state: string }[]>`
      select state from message_log where conversation_id = ${taken!.conversation_id}`;
    assert.equal(message?.state, 'in_turn');
  });
});
