// 10DLC campaigns and their brands: what the carriers let our American numbers send. `bridge` paces by them.
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';

export type Campaign = {
  readonly name: string;
  readonly brand: string | null;
  /** Of the campaign, all its numbers together; null: not limited. */
  readonly segments_per_minute: number | null;
  /** Of the brand, all its campaigns together; null: not limited. */
  readonly daily_segments: number | null;
  readonly numbers: readonly string[];
};

/** What is to change; what is absent stays. */
export type CampaignChange = {
  readonly brand?: string;
  readonly segmentsPerMinute?: number | null;
  readonly dailySegments?: number | null;
};

export async function listCampaigns(sql: Sql): Promise<Campaign[]> {
  return sql<Campaign[]>`
    select c.name, b.name as brand, c.segments_per_minute, b.daily_segments,
      array(select n.address from phone_numbers n where n.campaign_id = c.id order by n.address) as numbers
    from campaigns c left join brands b on b.id = c.brand_id
    order by c.name`;
}

/**
 * Makes a campaign, and its brand, or changes them; said again it changes nothing more, so one that broke half way is run
 * again. Throws invalid_request.
 */
export async function setCampaign(sql: Sql, name: string, change: CampaignChange): Promise<void> {
  const { segmentsPerMinute, dailySegments } = change;
  const brand = change.brand ?? (await brandOf(sql, name));
  if (dailySegments !== undefined && brand === null) {
    throw new DarkspereError(
      'invalid_request',
      `--daily-segments: the cap of a day belongs to a brand, and "${name}" has none. Name it too: --brand NAME.`,
      { param: '--daily-segments' },
    );
  }
  if (brand !== null) await sql`insert into brands (name) values (${brand}) on conflict (name) do nothing`;
  await sql`
    insert into campaigns (name, brand_id) values (${name}, (select id from brands where name = ${brand}))
    on conflict (name) do update set brand_id = excluded.brand_id`;
  if (segmentsPerMinute !== undefined)
    await sql`update campaigns set segments_per_minute = ${segmentsPerMinute} where name = ${name}`;
  if (dailySegments !== undefined) await sql`update brands set daily_segments = ${dailySegments} where name = ${brand}`;
}

async function brandOf(sql: Sql, campaign: string): Promise<string | null> {
  const [row] = await sql<{ name: string }[]>`
    select b.name from campaigns c join brands b on b.id = c.brand_id where c.name = ${campaign}`;
  return row?.name ?? null;
}

/** Throws not_found, with the names there are. */
export async function campaignId(sql: Sql, name: string): Promise<string> {
  const rows = await sql<{ id: string; name: string }[]>`select id, name from campaigns order by name`;
  const found = rows.find((row) => row.name === name);
  if (found) return found.id;
  const known = rows.length === 0 ? 'There are none yet.' : `There are: ${rows.map((row) => row.name).join(', ')}.`;
  throw new DarkspereError(
    'not_found',
    `--campaign: there is no campaign "${name}". ${known} Make it with: darkspere campaigns set "${name}"`,
    { param: '--campaign' },
  );
}
