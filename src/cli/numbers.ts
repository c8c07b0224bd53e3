// `darkspere numbers`: how our numbers behave.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { listNumbers, type NumberChange, type NumberSettings, setNumber } from '../accounts/number-settings.ts';
import type { NumberWords } from '../accounts/numbers.ts';
import { bareWord, wordProblem } from '../bridge/keywords.ts';
import { Capabilities } from '../http/contract/agents.ts';
import { withDatabase } from './database.ts';
import { printList } from './output.ts';
import { campaignName, limitOf, offOr, wholeNumber } from './values.ts';

type SetOptions = {
  readonly busyPolicy?: string;
  readonly holdMs?: number | string;
  readonly holdText?: string;
  readonly quietMs?: number | string;
  readonly maxSegments?: number;
  readonly mps?: number;
  readonly sessionIdle?: string;
  readonly agentType?: string;
  readonly require?: readonly string[];
  readonly agentChoice?: 'on' | 'off';
  readonly keyword?: NonNullable<NumberChange['keywords']>;
  readonly campaign?: string;
  readonly active?: 'yes' | 'no';
};

/** Adds the commands; `onCode` is told the exit code. */
export function addNumberCommands(program: Command, onCode: (code: number) => void): void {
  const numbers = program
    .command('numbers')
    .description('our numbers and how each of them behaves')
    .option('--json', 'one JSON object per line', false)
    .action(async (options: { json: boolean }) => {
      onCode(await withDatabase(async (sql) => print(await listNumbers(sql), options.json)));
    });

  numbers
    .command('set')
    .description('change how a number behaves, in force within seconds; a number that is not there yet is added')
    .argument('<number>', 'one of our numbers, like +15551234567', ourNumber)
    .addOption(
      new Option('--busy-policy <policy>', 'what a text does that comes during an answer').choices([
        'collect',
        'interrupt',
        'queue',
      ]),
    )
    .option('--hold-ms <n|off>', 'after this long without an answer say the holding text', offOr(1_000, 600_000))
    .option('--hold-text <text>', 'the holding text', holdText)
    .option('--quiet-ms <n|default>', 'how long a burst of texts is waited for', offOr(0, 5_000, 'default'))
    .option('--max-segments <n>', 'a reply is cut after this many segments', wholeNumber(1, 100))
    .option('--mps <n>', 'segments per second the carrier takes from this number', rate)
    .option('--session-idle <time>', 'a session ends after this long without a text, like "24 hours"', duration)
    .option('--agent-type <type>', 'the type of agents that answer', agentType)
    .option(
      '--require <word|none>',
      'a capability that its agents must have; several are all required, and take the place of those before',
      capability,
    )
    .addOption(
      new Option('--agent-choice <on|off>', 'whether AGENTS lists who can answer and USE and a name chooses').choices([
        'on',
        'off',
      ]),
    )
    .option(
      '--keyword <word=target>',
      'a text of this word chooses who answers: SALES=type:sales, ADA=agent:Ada, SALES=none; may be repeated',
      keyword,
    )
    .option('--campaign <name|none>', 'the 10DLC campaign it sends under', campaignName)
    .addOption(new Option('--active <yes|no>', 'whether it is answered at all').choices(['yes', 'no']))
    .action(async (address: string, options: SetOptions) => {
      onCode(await change(address, changeOf(options), numbers.opts<{ json: boolean }>().json));
    });
}

async function change(address: string, wanted: NumberChange, json: boolean): Promise<number> {
  return withDatabase(async (sql, config) => {
    const { isNew } = await setNumber(sql, address, wanted);
    if (isNew) process.stderr.write(`Added ${address}: it was none of our numbers before.\n`);
    if (wanted.is_active === false && config.numbers.includes(address)) {
      process.stderr.write('Take it out of TWILIO_PHONE_NUMBERS too: the next start would make it active again.\n');
    }
    print(
      (await listNumbers(sql)).filter((number) => number.address === address),
      json,
    );
  });
}

function changeOf(options: SetOptions): NumberChange {
  const { active, campaign } = options;
  const wanted = {
    busy_policy: options.busyPolicy,
    hold_ms: limitOf(options.holdMs),
    hold_text: options.holdText,
    quiet_ms: limitOf(options.quietMs),
    max_segments: options.maxSegments,
    segments_per_second: options.mps,
    session_idle: options.sessionIdle,
    agent_type: options.agentType,
    required_capabilities: options.require,
    agent_choice: options.agentChoice === undefined ? undefined : options.agentChoice === 'on',
    keywords: options.keyword,
    campaign: campaign === 'none' ? null : campaign,
    is_active: active === undefined ? undefined : active === 'yes',
  };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as NumberChange;
}

function print(numbers: readonly NumberSettings[], json: boolean): void {
  printList(numbers, json, {
    names: [
      'number',
      'active',
      'agent type',
      'requires',
      'busy policy',
      'quiet',
      'hold',
      'max segments',
      'mps',
      'session idle',
      'agent choice',
      'keywords',
      'campaign',
    ],
    row: (number) => [
      number.address,
      number.is_active ? 'yes' : 'no',
      number.agent_type,
      number.required_capabilities.join(', ') || 'none',
      number.busy_policy,
      number.quiet_ms === null ? 'default' : `${number.quiet_ms} ms`,
      number.hold_ms === null ? 'off' : `${number.hold_ms} ms`,
      String(number.max_segments),
      String(number.segments_per_second),
      idle(number.session_idle_seconds),
      number.agent_choice ? 'on' : 'off',
      words(number.keywords),
      number.campaign ?? 'none',
    ],
    none: 'There are no numbers yet: set TWILIO_PHONE_NUMBERS, or use darkspere numbers set.',
  });
}

const UNITS = [
  ['days', 86_400],
  ['hours', 3_600],
  ['minutes', 60],
] as const;

/** As --session-idle takes it, in the largest unit that leaves nothing over; days only from two on. */
function idle(seconds: number): string {
  const [name, size] = UNITS.find(([, unit]) => seconds >= 2 * unit && seconds % unit === 0) ?? ['seconds', 1];
  return `${seconds / size} ${name}`;
}

function ourNumber(value: string): string {
  if (/^(\+[1-9]\d{6,14}|\d{3,8})$/.test(value)) return value;
  throw new InvalidArgumentError('Write it as +15551234567, or as a short code.');
}

function rate(value: string): number {
  const number = Number(value);
  if (number >= 0.001 && number <= 1_000) return number;
  throw new InvalidArgumentError('Segments per second from 0.001 to 1000, like 1 or 2.5.');
}

function holdText(value: string): string {
  if (value.trim() !== '' && value.length <= 300) return value;
  throw new InvalidArgumentError('A text of 1 to 300 characters.');
}

function agentType(value: string): string {
  if (value.trim() !== '' && value.length <= 50) return value;
  throw new InvalidArgumentError('1 to 50 characters, as the agents were registered with.');
}

/** Each one given is added to those before it on the line; `none` begins anew. */
function capability(value: string, before: readonly string[] = []): readonly string[] {
  if (value === 'none') return [];
  const all = [...new Set([...before, value])];
  if (Capabilities.safeParse(all).success) return all;
  throw new InvalidArgumentError(
    'A capability as agents register it: 1 to 64 characters without control characters, at most 50 of them.',
  );
}

/** As --keyword takes them. */
function words(keywords: NumberWords): string {
  const all = Object.entries(keywords).map(([word, target]) =>
    'type' in target ? `${word}=type:${target.type}` : `${word}=agent:${target.agent}`,
  );
  return all.join(' ') || 'none';
}

function keyword(value: string, before: SetOptions['keyword'] = {}): SetOptions['keyword'] {
  const [, word, kind, name] = /^([^=]+)=(?:none|(type|agent):(.*\S.*))$/u.exec(value) ?? [];
  if (word === undefined) throw new InvalidArgumentError('Write it as WORD=type:sales, WORD=agent:Ada or WORD=none.');
  const problem = wordProblem(word);
  if (problem !== null) throw new InvalidArgumentError(`The word ${word} ${problem}. Take another one.`);
  if (name !== undefined && name.length > 200) throw new InvalidArgumentError('A name of at most 200 characters.');
  const target = kind === undefined ? null : kind === 'type' ? { type: name!.trim() } : { agent: name!.trim() };
  return { ...before, [bareWord(word)]: target };
}

function duration(value: string): string {
  const [, count, unit] = /^(\d{1,5}) ?(minute|hour|day)s?$/.exec(value.trim()) ?? [];
  const minutes = Number(count) * { minute: 1, hour: 60, day: 1_440 }[(unit ?? 'day') as 'minute' | 'hour' | 'day'];
  if (minutes >= 1 && minutes <= 366 * 1_440) return `${count} ${unit}s`;
  throw new InvalidArgumentError('A time from 1 minute to 366 days, like "30 minutes", "24 hours" or "7 days".');
}
