// How each of our numbers behaves. In force at once: the text path reads the table with each text.
import type { Sql } from '../database/pools.ts';
import type { PhoneNumbersRow } from '../database/tables.ts';
import { campaignId } from './campaigns.ts';
import { type NumberWords, segmentsPerSecond } from './numbers.ts';

type Columns = Pick<
  PhoneNumbersRow,
  | 'is_active'
  | 'agent_type'
  | 'busy_policy'
  | 'quiet_ms'
  | 'hold_ms'
  | 'hold_text'
  | 'max_segments'
  | 'segments_per_second'
  | 'agent_choice'
  | 'required_capabilities'
>;

export type NumberSettings = Columns & {
  readonly address: string;
  readonly session_idle_seconds: number;
  readonly campaign: string | null;
  readonly keywords: NumberWords;
};

/**
 * What is to change; what is absent stays. `campaign` is a name; `session_idle` an interval of PostgreSQL; of `keywords` those
 * that are named change, and null takes one away.
 */
export type NumberChange = Partial<Columns> & {
  readonly session_idle?: string;
  readonly campaign?: string | null;
  readonly keywords?: Readonly<Record<string, NumberWords[string] | null>>;
};

export async function listNumbers(sql: Sql): Promise<NumberSettings[]> {
  return sql<NumberSettings[]>`
    select n.address, n.is_active, n.agent_type, n.busy_policy, n.quiet_ms, n.hold_ms, n.hold_text, n.max_segments,
      n.segments_per_second, n.agent_choice, n.required_capabilities, n.keywords,
      extract(epoch from n.session_idle)::int as session_idle_seconds, c.name as campaign
    from phone_numbers n left join campaigns c on c.id = n.campaign_id
    order by n.address`;
}

/** The same in short, for whoever may not see campaigns. */
export async function listAddresses(sql: Sql): Promise<Pick<NumberSettings, 'address' | 'is_active' | 'agent_type'>[]> {
  return sql<NumberSettings[]>`select address, is_active, agent_type from phone_numbers order by address`;
}

/** Changes one of our numbers, or adds it. Throws not_found for a campaign that is not there. */
export async function setNumber(sql: Sql, address: string, change: NumberChange): Promise<{ isNew: boolean }> {
  const { campaign, keywords, ...columns } = change;
  const values = {
    address,
    ...columns,
    ...(campaign === undefined ? {} : { campaign_id: campaign === null ? null : await campaignId(sql, campaign) }),
  };
  const [row] = await sql<{ is_new: boolean }[]>`
    insert into phone_numbers ${sql({ segments_per_second: segmentsPerSecond(address), ...values })}
    on conflict (address) do update set ${sql(values)}
    returning xmax = 0 as is_new`;
  if (keywords !== undefined) {
    const words = Object.entries(keywords);
    const added = Object.fromEntries(words.filter(([, target]) => target !== null));
    const removed = words.filter(([, target]) => target === null).map(([word]) => word);
    await sql`
      update phone_numbers set keywords = (keywords || ${sql.json(added as never)}) - ${removed}::text[]
      where address = ${address}`;
  }
  return { isNew: row!.is_new };
}
