// The commands. Thin: each one calls a function that could be called from anywhere.
import { Argument, Command, InvalidArgumentError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { PARTS, type Part } from '../config.ts';
import { addAgentCommands } from './agents.ts';
import { addCampaignCommands } from './campaigns.ts';
import { addCompletionCommand } from './completion.ts';
import { addKeyCommands } from './keys.ts';
import { addLoginCommand } from './login.ts';
import { addMcpCommands } from './mcp.ts';
import { addNumberCommands } from './numbers.ts';

/** Runs one command line; resolves with the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let code = 0;
  const program = new Command('darkspere')
    .description(packageJson.description)
    .version(packageJson.version)
    .showHelpAfterError('(darkspere --help lists the commands)')
    .configureOutput({ writeErr: (text) => process.stderr.write(text) })
    .exitOverride();

  program
    .command('start')
    .description('run Darkspere: all parts in this process, or only the ones named')
    .addArgument(new Argument('[parts...]', 'parts to run').choices(PARTS))
    .action(async (parts: Part[]) => {
      const { startCommand } = await import('./start.ts');
      code = await startCommand(parts.length === 0 ? PARTS : [...new Set(parts)]);
    });

  program
    .command('migrate')
    .description('bring the database to this release (start does it too)')
    .option('--json', 'one JSON object', false)
    .action(async ({ json }: { json: boolean }) => {
      const { migrateCommand } = await import('./migrate.ts');
      code = await migrateCommand(json);
    });

  program
    .command('text')
    .description('play a person’s phone against the simulator: one text, or a conversation without a message')
    .argument('[message]', 'what to text')
    .option('--from <number>', 'the person’s number', e164, '+15557654321')
    .option('--to <number>', 'the number to text (default: the simulator’s first)', e164)
    .option('--json', 'one JSON event per line', false)
    .option('--wait <seconds>', 'how long to wait for the answer', seconds, 60)
    .action(
      async (message: string | undefined, options: { from: string; to?: string; json: boolean; wait: number }) => {
        const { phoneCommand } = await import('./phone.ts');
        code = await phoneCommand(message, options);
      },
    );

  const onCode = (result: number) => {
    code = result;
  };
  addLoginCommand(program, onCode);
  addAgentCommands(program, onCode);
  addKeyCommands(program, onCode);
  addNumberCommands(program, onCode);
  addCampaignCommands(program, onCode);
  addMcpCommands(program, onCode);
  addCompletionCommand(program);

  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    // commander has printed what it had to say: help and version end with 0, a wrong call with 2.
    if (error instanceof Error && 'exitCode' in error) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
}

function e164(value: string): string {
  if (/^\+[1-9]\d{6,14}$/.test(value)) return value;
  throw new InvalidArgumentError('Write it as +15551234567.');
}

function seconds(value: string): number {
  const number = Number(value);
  if (number > 0 && number <= 3600) return number;
  throw new InvalidArgumentError('A number of seconds between 1 and 3600.');
}
