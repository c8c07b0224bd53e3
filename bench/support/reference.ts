// What PostgreSQL itself does with the rows of one text, one commit each, from 32 clients: the yardstick for ingest.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ingestTexts } from '../../src/bridge/store.ts';
import type { Connection } from '../../src/database/connection.ts';
import { openSql } from '../../src/database/pools.ts';
import { messageSid, personNumber } from './carrier-side.ts';

const run = promisify(execFile);

const CLIENTS = 32;

/**
 * The leanest statement that writes them: receipt, conversation, message, job. No check of consent, no look for a newcomer
 * and above all no NOTIFY, which would make these commits wait for each other: whatever the product does besides writing
 * rows counts against the product.
 */
const statement = (sid: string, person: string, our: string) => `
with receipt as (
  insert into webhook_receipts (channel, provider_id) values ('sms', ${sid}) on conflict do nothing returning provider_id
), bumped as (
  update conversations set last_seq = last_seq + 1, token = token + 1, first_pending_at = clock_timestamp(),
    last_pending_at = clock_timestamp()
  where channel = 'sms' and our_address = ${our} and their_address = ${person} and exists (select from receipt)
  returning id, last_seq, token
), waiting as (
  insert into graphile_worker._private_jobs (task_id, payload, max_attempts)
  select task.id, json_build_object('c', bumped.id, 't', token, 'q', 0), 1000
  from bumped, graphile_worker._private_tasks task where task.identifier = 'turn'
)
insert into messages (conversation_id, direction, kind, seq, body, provider_id)
select id, 'in', 'text', last_seq, 'How late are you open today?', provider_id from bumped, receipt`;

export type Reference = { readonly name: string; run(seconds: number, people: number): Promise<number> };

/** Each runs for about `seconds`, one text from each of at most `people` people, and gives commits per second. */
export async function references(connection: Connection, ourNumber: string): Promise<Reference[]> {
  const driven = (
    name: string,
    text: (sql: ReturnType<typeof openSql>, person: number) => Promise<unknown>,
  ): Reference => ({
    name,
    run: (seconds, people) => drive(connection, seconds, people, text),
  });
  const plain = statement('$1', '$2', '$3');
  return [
    ...((await hasPgbench()) ? [pgbench(connection, ourNumber)] : []),
    driven('the same statement, our driver', (sql, person) =>
      sql.unsafe(plain, [messageSid(), personNumber(person), ourNumber], { prepare: true }),
    ),
    driven('ingest_texts with one text, our driver', (sql, person) =>
      ingestTexts(
        sql,
        [
          {
            channel: 'sms',
            providerId: messageSid(),
            from: personNumber(person),
            to: ourNumber,
            text: 'How late are you open today?',
            media: [],
            optOutHandled: null,
            refused: null,
          },
        ],
        { quietMs: 0, optOutScope: null },
      ),
    ),
  ];
}

async function drive(
  connection: Connection,
  seconds: number,
  people: number,
  text: (sql: ReturnType<typeof openSql>, person: number) => Promise<unknown>,
): Promise<number> {
  // One pool of one connection each: a driver that pipelines would let several texts share a flush.
  const clients = Array.from({ length: CLIENTS }, () => openSql(connection, { max: 1 }));
  try {
    await Promise.all(clients.map((sql) => sql`select 1`));
    let person = 0;
    let written = 0;
    const startedMs = performance.now();
    const endsMs = startedMs + seconds * 1000;
    await Promise.all(
      clients.map(async (sql) => {
        while (performance.now() < endsMs && person < people) {
          await text(sql, person++);
          written++;
        }
      }),
    );
    return (written / (performance.now() - startedMs)) * 1000;
  } finally {
    await Promise.all(clients.map((sql) => sql.end()));
  }
}

async function hasPgbench(): Promise<boolean> {
  return run('pgbench', ['--version']).then(
    () => true,
    () => false,
  );
}

function pgbench({ host, port, user, password, database }: Connection, ourNumber: string): Reference {
  return {
    name: 'the same statement, pgbench -M prepared',
    async run(seconds, people) {
      const folder = await mkdtemp(join(tmpdir(), 'darkspere-bench-'));
      const file = join(folder, 'text.sql');
      const share = Math.floor(people / CLIENTS);
      const person = `('+' || (${personNumber(0).slice(1)} + :person::bigint))`;
      const sid = `('SM' || replace(gen_random_uuid()::text, '-', ''))`;
      await writeFile(
        file,
        `\\set n :n + 1\n\\set person :client_id * ${share} + :n % ${share}\n${statement(sid, person, `'${ourNumber}'`).trim()};\n`,
      );
      try {
        const { stdout } = await run(
          'pgbench',
          ['-n', '-M', 'prepared', '-c', String(CLIENTS), '-j', '2', '-T', String(seconds), '-D', 'n=-1', '-f', file],
          {
            env: {
              ...process.env,
              PGHOST: host,
              PGPORT: String(port),
              PGUSER: user,
              PGPASSWORD: password,
              PGDATABASE: database,
            },
          },
        );
        return Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1] ?? Number.NaN);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}
