// `darkspere campaigns`: what the carriers let American numbers send.
import { type Command, InvalidArgumentError } from 'commander';
import { type Campaign, type CampaignChange, listCampaigns, setCampaign } from '../accounts/campaigns.ts';
import { withDatabase } from './database.ts';
import { printList } from './output.ts';
import { campaignName, limitOf, offOr } from './values.ts';

type SetOptions = {
  readonly brand?: string;
  readonly segmentsPerMinute?: number | string;
  readonly dailySegments?: number | string;
};

/** Adds the commands; `onCode` is told the exit code. */
export function addCampaignCommands(program: Command, onCode: (code: number) => void): void {
  const campaigns = program
    .command('campaigns')
    .description('10DLC campaigns: what numbers may send in a minute, and brands in a day')
    .option('--json', 'one JSON object per line', false)
    .action(async (options: { json: boolean }) => {
      onCode(await withDatabase(async (sql) => print(await listCampaigns(sql), options.json)));
    });

  campaigns
    .command('set')
    .description('make a campaign or change its limits, in force at once')
    .argument('<name>', 'a name of your own for it', newName)
    .option('--brand <name>', 'the brand it is registered for; a new one is made', campaignName)
    .option('--segments-per-minute <n|off>', 'all its numbers together', offOr(10, 1_000_000))
    .option('--daily-segments <n|off>', 'of its brand, all campaigns of the brand together', offOr(100, 100_000_000))
    .action(async (name: string, options: SetOptions) => {
      const wanted = changeOf(options);
      const { json } = campaigns.opts<{ json: boolean }>();
      onCode(
        await withDatabase(async (sql) => {
          await setCampaign(sql, name, wanted);
          const all = await listCampaigns(sql);
          print(
            all.filter((campaign) => campaign.name === name),
            json,
          );
          if (wanted.dailySegments !== undefined) sayWhoShares(all, name);
        }),
      );
    });
}

function changeOf({ brand, ...limits }: SetOptions): CampaignChange {
  const segmentsPerMinute = limitOf(limits.segmentsPerMinute);
  const dailySegments = limitOf(limits.dailySegments);
  return {
    ...(brand === undefined ? {} : { brand }),
    ...(segmentsPerMinute === undefined ? {} : { segmentsPerMinute }),
    ...(dailySegments === undefined ? {} : { dailySegments }),
  };
}

/** Somebody who caps a campaign's day caps its brand's: the others must not be a surprise. */
function sayWhoShares(all: readonly Campaign[], name: string): void {
  const brand = all.find((campaign) => campaign.name === name)?.brand;
  const sharing = all.filter((campaign) => campaign.brand === brand).map((campaign) => campaign.name);
  process.stderr.write(`The cap of a day belongs to the brand ${brand}; it counts for: ${sharing.join(', ')}.\n`);
}

function print(campaigns: readonly Campaign[], json: boolean): void {
  const limit = (segments: number | null) => (segments === null ? 'off' : String(segments));
  printList(campaigns, json, {
    names: ['campaign', 'segments/minute', 'brand', 'segments/day of the brand', 'numbers'],
    row: (campaign) => [
      campaign.name,
      limit(campaign.segments_per_minute),
      campaign.brand ?? 'none',
      limit(campaign.daily_segments),
      campaign.numbers.join(' ') || 'none',
    ],
    none: 'There are no campaigns yet: darkspere campaigns set NAME makes one.',
  });
}

function newName(value: string): string {
  // `numbers set --campaign none` means none at all.
  if (value !== 'none') return campaignName(value);
  throw new InvalidArgumentError('"none" stands for no campaign; take another name.');
}
