// An agent as its author runs it: a program of its own, in a folder of its own, on the SDK.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { endChildWithUs } from './left-behind.ts';
import { ROOT } from './source-tree.ts';
import { until } from './until.ts';

export type AgentProgram = {
  readonly child: ChildProcess;
  /** Everything that it has printed. */
  output(): string;
  /** Where it said that it is reached. */
  readonly url: string;
  /** Sends a signal; resolves with the exit code when it is gone. */
  kill(signal: NodeJS.Signals): Promise<number | null>;
};

/** A folder in which the packages of this repository are installed. */
export async function agentFolder(t: TestContext, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'darkspere-agent-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

export type AgentRun = {
  /** A program for node, or a command line for a shell. */
  readonly file?: string;
  readonly command?: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
};

/** Runs it and waits until it says that it is ready. Throws what it said when it ends before. */
export async function runAgent(t: TestContext, { file, command, cwd, env }: AgentRun): Promise<AgentProgram> {
  const [program, args] = command === undefined ? [process.execPath, [file ?? 'agent.ts']] : ['sh', ['-c', command]];
  // A shell has children: all of them are one group, which ends together.
  const child = spawn(program, args, {
    cwd,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: command !== undefined,
  });
  endChildWithUs(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  const exited = once(child, 'close');
  const kill = async (signal: NodeJS.Signals) => {
    if (!isGone() && command === undefined) child.kill(signal);
    else if (!isGone()) process.kill(-child.pid!, signal);
    await exited;
    return child.exitCode;
  };
  t.after(() => kill('SIGKILL'));
  const url = await until(() => isGone() || /ready at (\S+?)[,.]?(?:\s|$)/.exec(output)?.[1], {
    what: 'the agent',
    timeoutMs: 30_000,
  });
  if (isGone()) await exited;
  if (typeof url !== 'string') throw new Error(`The agent ended before it was ready:\n${output}`);
  return { child, output: () => output, url, kill };
}
