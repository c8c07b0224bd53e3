// The packages that others install, installed as others do: from their tarballs, into an empty folder, without a network.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pack, packPackages } from '../../scripts/packages.ts';
import { ROOT } from './source-tree.ts';

const run = promisify(execFile);

export type Packed = {
  /** An empty folder in which they are installed, and nothing else is. */
  readonly folder: string;
  readonly tarballs: readonly string[];
  /** The folder with what they depend on, packed. */
  readonly theirs: string;
  remove(): Promise<void>;
};

/** Packs and installs them. What they depend on is packed from this repository's own node_modules. */
export async function installPacked(): Promise<Packed> {
  const work = await mkdtemp(join(tmpdir(), 'darkspere-packed-'));
  const folder = join(work, 'empty');
  await mkdir(folder);
  const tarballs = await packPackages(join(work, 'ours'));
  await mkdir(join(work, 'theirs'));
  const theirs = await pack(
    (await dependenciesOf(['sdk', 'create-darkspere-agent'])).map((name) => join(ROOT, 'node_modules', name)),
    join(work, 'theirs'),
  );
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const args = ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs, ...theirs];
  const npm = process.env.npm_execpath;
  // A cache of its own: what this machine has fetched before must not help.
  const env = { ...process.env, npm_config_cache: join(work, 'cache') };
  await run(npm === undefined ? 'npm' : process.execPath, npm === undefined ? args : [npm, ...args], {
    cwd: folder,
    env,
  });
  return { folder, tarballs, theirs: join(work, 'theirs'), remove: () => rm(work, { recursive: true, force: true }) };
}

/** Everything that folders of this repository need to run, by name. */
async function dependenciesOf(folders: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    const { dependencies = {} } = JSON.parse(await readFile(join(ROOT, path, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    for (const name of Object.keys(dependencies)) {
      if (found.has(name)) continue;
      found.add(name);
      await visit(join('node_modules', name));
    }
  };
  for (const folder of folders) await visit(folder);
  return [...found].sort();
}

/** Gives `folder` this repository's packages, but `@darkspere/agent` as it was packed. */
export async function linkPackages(folder: string, packed: Packed): Promise<void> {
  const ours = join(ROOT, 'node_modules');
  const theirs = join(folder, 'node_modules');
  const names = (await readdir(ours)).filter((name) => name !== '@darkspere' && !name.startsWith('.package-lock'));
  await mkdir(join(theirs, '@darkspere'), { recursive: true });
  for (const name of names) await symlink(join(ours, name), join(theirs, name));
  const agent = join('@darkspere', 'agent');
  await symlink(join(packed.folder, 'node_modules', agent), join(theirs, agent));
}

/** Runs a program; gives its exit code and what it said. */
export async function say(
  file: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
) {
  const done = (code: number, out: { stdout: string; stderr: string }) => ({ code, said: out.stdout + out.stderr });
  return run(file, args, { cwd, env }).then(
    (out) => done(0, out),
    (error: { code: number; stdout: string; stderr: string }) => done(error.code, error),
  );
}
