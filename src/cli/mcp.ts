// `darkspere mcp`: whom programs may text over MCP, how much, and when.
import { type Command, InvalidArgumentError } from 'commander';
import {
  allowRecipient,
  disallowRecipient,
  type Limits,
  type LimitsChange,
  listLimits,
  listRecipients,
  type Recipient,
  setLimits,
} from '../accounts/recipients.ts';
import { withDatabase } from './database.ts';
import { printList } from './output.ts';
import { wholeNumber } from './values.ts';

type AllowOptions = { readonly key?: string; readonly consent: string; readonly timeZone?: string };
type LimitOptions = {
  readonly key?: string;
  readonly segmentsPerDay?: number;
  readonly textsPerPerson?: number;
  readonly quietHours?: QuietHours | 'off';
  readonly timeZone?: string;
  readonly json: boolean;
};
type QuietHours = { readonly from: string; readonly until: string };

/** Adds the commands; `onCode` is told the exit code. */
export function addMcpCommands(program: Command, onCode: (code: number) => void): void {
  const mcp = program.command('mcp').description('whom programs may text over MCP, how much, and when');

  mcp
    .command('allow')
    .description('let programs text a number that has not texted; said again it changes what was said of it')
    .argument('<number>', 'the person’s number', phone)
    .requiredOption('--consent <words>', 'how the person has agreed to be texted, for whoever asks later', consentOf)
    .option('--key <name>', 'for this key alone (default: every key with the scope send)')
    .option('--time-zone <zone>', 'where the person lives, like America/New_York (default: that of the limits)')
    .action(async (address: string, { key, consent, timeZone }: AllowOptions) => {
      onCode(
        await withDatabase(async (sql) => {
          await allowRecipient(sql, { address, key: key ?? null, consent, timeZone: timeZone ?? null });
          const whose = key === undefined ? 'Every key with the scope send' : `The key ${key}`;
          process.stderr.write(`${whose} may text ${address}. A STOP of theirs holds all the same.\n`);
        }),
      );
    });

  mcp
    .command('disallow')
    .description('take a number from the list, at once')
    .argument('<number>', 'the person’s number', phone)
    .option('--key <name>', 'what was allowed for this key alone')
    .action(async (address: string, { key }: { key?: string }) => {
      onCode(
        await withDatabase(async (sql) => {
          await disallowRecipient(sql, address, key ?? null);
          process.stderr.write(`${address} is no longer allowed${key === undefined ? '' : ` for the key ${key}`}.\n`);
        }),
      );
    });

  mcp
    .command('recipients', { isDefault: true })
    .description('who may be texted')
    .option('--json', 'one JSON object per line', false)
    .action(async ({ json }: { json: boolean }) => {
      onCode(await withDatabase(async (sql) => printRecipients(await listRecipients(sql), json)));
    });

  mcp
    .command('limits')
    .description('show how much programs may send and when, or change it, in force at once')
    .option('--key <name>', 'of this key alone (default: of every key that has none of its own)')
    .option('--segments-per-day <n>', 'what one key may send in 24 hours', wholeNumber(0, 1_000_000))
    .option('--texts-per-person <n>', 'what all keys may send to one person in 24 hours', wholeNumber(0, 1_000))
    .option('--quiet-hours <hours|off>', 'when nobody is texted who has not just texted, like 21:00-08:00', quietHours)
    .option('--time-zone <zone>', 'where people live of whom nothing else is known, like America/New_York')
    .option('--json', 'one JSON object per line', false)
    .action(async ({ key, json, ...options }: LimitOptions) => {
      onCode(
        await withDatabase(async (sql) => {
          const change = changeOf(options);
          if (Object.keys(change).length > 0) await setLimits(sql, key ?? null, change);
          printLimits(await listLimits(sql), json);
        }),
      );
    });
}

function changeOf(options: Omit<LimitOptions, 'key' | 'json'>): LimitsChange {
  const { quietHours: hours, ...rest } = options;
  return { ...rest, ...(hours === undefined ? {} : { quietHours: hours === 'off' ? null : hours }) };
}

function printRecipients(recipients: readonly Recipient[], json: boolean): void {
  printList(recipients, json, {
    names: ['number', 'for', 'time zone', 'since', 'consent'],
    row: (one) => [
      one.address,
      one.key ?? 'every key',
      one.time_zone ?? 'of the limits',
      one.created_at.toISOString().slice(0, 10),
      one.consent,
    ],
    none: 'Programs may text nobody yet: darkspere mcp allow NUMBER --consent "…" changes that.',
  });
}

function printLimits(limits: readonly Limits[], json: boolean): void {
  printList(limits, json, {
    names: ['key', 'segments/day', 'texts/person/day', 'quiet hours', 'time zone'],
    row: (one) => [
      one.key ?? 'every other key',
      String(one.segments_per_day),
      String(one.texts_per_person),
      one.quiet_from === null ? 'off' : `${one.quiet_from.slice(0, 5)}-${one.quiet_until?.slice(0, 5)}`,
      one.time_zone,
    ],
    none: 'There are no limits.',
  });
}

function phone(value: string): string {
  if (/^\+[1-9]\d{6,14}$/.test(value)) return value;
  throw new InvalidArgumentError('Write it as +15551234567.');
}

function consentOf(value: string): string {
  if (value.trim() !== '' && value.length <= 500 && !/\p{Cc}/u.test(value)) return value.trim();
  throw new InvalidArgumentError('Up to 500 characters, on one line: "signed the form of 2026-03-01", say.');
}

function quietHours(value: string): QuietHours | 'off' {
  if (value === 'off') return 'off';
  const [, from, until] = /^((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d)$/.exec(value) ?? [];
  if (from !== undefined && until !== undefined && from !== until) return { from, until };
  throw new InvalidArgumentError('Write them as 21:00-08:00, or "off".');
}
