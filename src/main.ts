// The entry point, run by the pinned Node that bin/darkspere.mjs starts.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runProgram } from './cli/program.ts';
import { messageOf } from './errors.ts';

const envFile = fileURLToPath(new URL('../.env', import.meta.url));
if (existsSync(envFile)) process.loadEnvFile(envFile);

try {
  process.exitCode = await runProgram(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
