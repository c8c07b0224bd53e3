// The entry point, run by the pinned Node that bin/darkspere.mjs starts.
import { fileURLToPath } from 'node:url';
import { runProgram } from './cli/program.ts';
import { endOnSignals } from './cli/signals.ts';
import { readEnvFile } from './config.ts';
import { messageOf } from './errors.ts';

const LINGER_MS = 1_000;
// Whoever reads only the head of a list is no failure of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1));
}

endOnSignals();

try {
  readEnvFile(fileURLToPath(new URL('../.env', import.meta.url)));
  process.exitCode = await runProgram(process.argv.slice(2));
  // Everything is closed by now. What still retries against a database that is away must not keep the process.
  setTimeout(() => process.exit(), LINGER_MS).unref();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
