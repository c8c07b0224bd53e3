// Whom programs with an API key may text without having been texted first, and how much they may send. Operators alone decide
// that, with the tools that only they have; `bridge` holds programs to it.
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';

export type Recipient = {
  readonly address: string;
  /** The key it is allowed for; null: every key that may send. */
  readonly key: string | null;
  /** In the operator's words: how the person has agreed. */
  readonly consent: string;
  /** Null: that of the limits. */
  readonly time_zone: string | null;
  readonly created_at: Date;
};

export type NewRecipient = {
  readonly address: string;
  readonly key: string | null;
  readonly consent: string;
  readonly timeZone: string | null;
};

/** Allowed numbers, oldest first. */
export async function listRecipients(sql: Sql): Promise<Recipient[]> {
  return sql<Recipient[]>`
    select r.address, k.name as key, r.consent, r.time_zone, r.created_at
    from allowed_recipients r left join api_keys k on k.id = r.api_key_id
    where k.revoked_at is null order by r.id`;
}

/** Allows a number; said again it changes consent and zone. Throws not_found (the key), invalid_request (the zone). */
export async function allowRecipient(sql: Sql, wanted: NewRecipient): Promise<void> {
  const { address, consent, timeZone } = wanted;
  const keyId = await keyIdOf(sql, wanted.key);
  await checkTimeZone(sql, timeZone);
  // An opt-out stands in `consents` and is not touched here: only the person can take it back.
  await sql`
    insert into allowed_recipients (address, api_key_id, consent, time_zone)
    values (${address}, ${keyId}, ${consent}, ${timeZone})
    on conflict (address, coalesce(api_key_id, '00000000-0000-0000-0000-000000000000'))
    do update set consent = excluded.consent, time_zone = excluded.time_zone`;
}

/** Takes a number from the list, at once. Throws not_found. */
export async function disallowRecipient(sql: Sql, address: string, key: string | null): Promise<void> {
  const keyId = await keyIdOf(sql, key);
  const gone = await sql`
    delete from allowed_recipients where address = ${address} and api_key_id is not distinct from ${keyId} returning id`;
  if (gone.length > 0) return;
  const whose = key === null ? 'for every key' : `for the key ${key}`;
  throw new DarkspereError('not_found', `${address} is not allowed ${whose}. List them with: darkspere mcp recipients`);
}

export type Limits = {
  /** Null: of every key that has none of its own. */
  readonly key: string | null;
  readonly segments_per_day: number;
  readonly texts_per_person: number;
  /** `21:00:00`; null with `quiet_until`: no quiet hours. */
  readonly quiet_from: string | null;
  readonly quiet_until: string | null;
  readonly time_zone: string;
};

/** What is to change; what is absent stays. */
export type LimitsChange = {
  readonly segmentsPerDay?: number;
  readonly textsPerPerson?: number;
  readonly quietHours?: { readonly from: string; readonly until: string } | null;
  readonly timeZone?: string;
};

/** Those of every key first, then those of keys that have their own. */
export async function listLimits(sql: Sql): Promise<Limits[]> {
  return sql<Limits[]>`
    select k.name as key, l.segments_per_day, l.texts_per_person, l.quiet_from, l.quiet_until, l.time_zone
    from program_limits l left join api_keys k on k.id = l.api_key_id
    where k.revoked_at is null order by k.name nulls first`;
}

/**
 * Changes the limits of a key, or with null those of every key that has none of its own; a key's own begin as those.
 * Throws not_found (the key), invalid_request (the zone).
 */
export async function setLimits(sql: Sql, key: string | null, change: LimitsChange): Promise<void> {
  const keyId = await keyIdOf(sql, key);
  await checkTimeZone(sql, change.timeZone ?? null);
  if (keyId !== null) {
    await sql`
      insert into program_limits (api_key_id, segments_per_day, texts_per_person, quiet_from, quiet_until, time_zone)
      select ${keyId}, segments_per_day, texts_per_person, quiet_from, quiet_until, time_zone
      from program_limits where api_key_id is null
      on conflict (api_key_id) do nothing`;
  }
  const columns = {
    ...(change.segmentsPerDay === undefined ? {} : { segments_per_day: change.segmentsPerDay }),
    ...(change.textsPerPerson === undefined ? {} : { texts_per_person: change.textsPerPerson }),
    ...(change.quietHours === undefined
      ? {}
      : { quiet_from: change.quietHours?.from ?? null, quiet_until: change.quietHours?.until ?? null }),
    ...(change.timeZone === undefined ? {} : { time_zone: change.timeZone }),
  };
  if (Object.keys(columns).length > 0)
    await sql`update program_limits set ${sql(columns)} where api_key_id is not distinct from ${keyId}`;
}

async function keyIdOf(sql: Sql, name: string | null): Promise<string | null> {
  if (name === null) return null;
  const [row] = await sql<{ id: string }[]>`select id from api_keys where name = ${name} and revoked_at is null`;
  if (row) return row.id;
  throw new DarkspereError('not_found', `--key: there is no key "${name}". List them with: darkspere keys list`, {
    param: '--key',
  });
}

/** The database counts the hours, so it has to know the zone; its names are those of the IANA. */
async function checkTimeZone(sql: Sql, zone: string | null): Promise<void> {
  if (zone === null) return;
  const [known] = await sql`select 1 from pg_timezone_names where name = ${zone}`;
  if (known) return;
  throw new DarkspereError(
    'invalid_request',
    `--time-zone: there is no time zone "${zone}". Write it as America/New_York, Europe/Berlin or UTC.`,
    { param: '--time-zone' },
  );
}
