// `darkspere login`: an address that signs in to the console, once.
import type { Command } from 'commander';
import { createLoginToken, LOGIN_MINUTES, loginUrl } from '../security/sessions.ts';
import { withDatabase } from './database.ts';
import { printJson } from './output.ts';

const LOOK_MS = 2_000;

/** Adds the command; `onCode` is told the exit code. */
export function addLoginCommand(program: Command, onCode: (code: number) => void): void {
  program
    .command('login')
    .description('print an address that signs you in to the console: it works once, for 15 minutes')
    .option('--json', 'one JSON object', false)
    .action(async ({ json }: { json: boolean }) => onCode(await login(json)));
}

function login(json: boolean): Promise<number> {
  return withDatabase(async (sql, { consoleUrl }) => {
    const { token, expiresAt } = await createLoginToken(sql);
    const url = loginUrl(consoleUrl, token);
    if (json) {
      printJson({ url, expires_at: expiresAt.toISOString() });
      return;
    }
    process.stdout.write(`${url}\n`);
    process.stderr.write(`Open it within ${LOGIN_MINUTES} minutes; it works once.\n`);
    if (!(await answers(consoleUrl))) {
      process.stderr.write(`Nothing answers at ${consoleUrl} right now. Start Darkspere first: npm start\n`);
    }
  });
}

/** Whatever it says: somebody is there. */
async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/health`, { signal: AbortSignal.timeout(LOOK_MS), redirect: 'manual' }).then(
    () => true,
    () => false,
  );
}
