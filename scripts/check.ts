import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

export type CheckResult = { name: string; ok: boolean; output: string; durationMs: number };

type Step = { name: string; file: string; args: string[] };

const local = (name: string) => join(root, 'node_modules', '.bin', name);

/** Scripts that write something from the source, and with --check only say whether it is up to date. */
const GENERATORS = ['schema', 'docs', 'openapi'];

function steps(): Step[] {
  return [
    { name: 'types', file: local('tsc'), args: ['--noEmit', '-p', 'tsconfig.json'] },
    { name: 'types of the console', file: local('tsc'), args: ['--noEmit', '-p', 'console/tsconfig.json'] },
    { name: 'style', file: local('biome'), args: ['check', '--diagnostic-level=error', '.'] },
    ...GENERATORS.filter((name) => existsSync(join(root, 'scripts', `${name}.ts`))).map((name) => ({
      name,
      file: process.execPath,
      args: [join('scripts', `${name}.ts`), '--check'],
    })),
  ];
}

function runStep({ name, file, args }: Step): Promise<CheckResult> {
  const { promise, resolve } = Promise.withResolvers<CheckResult>();
  const startedAt = performance.now();
  const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const finish = (ok: boolean) =>
    resolve({ name, ok, output: output.trim(), durationMs: performance.now() - startedAt });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  child.on('error', (error) => {
    output += error.message;
    finish(false);
  });
  child.on('close', (code) => finish(code === 0));
  return promise;
}

/** Runs every check, one after the other, and says how each ended. */
export async function runChecks(report: (result: CheckResult) => void): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const step of steps()) {
    const result = await runStep(step);
    report(result);
    results.push(result);
  }
  return results;
}

/** One line per check; what it said when it failed. */
export function describe({ name, ok, output, durationMs }: CheckResult): string {
  return `${ok ? '✔' : '✖'} check: ${name} (${Math.round(durationMs)} ms)${ok ? '' : `\n${output.replace(/^/gm, '    ')}`}`;
}

if (import.meta.main) {
  const results = await runChecks((result) => console.log(describe(result)));
  process.exitCode = results.every((result) => result.ok) ? 0 : 1;
}
