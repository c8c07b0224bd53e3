// The packages that others install, as they are published: `node bin/run.mjs scripts/packages.ts FOLDER` leaves their
// tarballs there. Built beside the sources, never among them, so that nothing built can be stale.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

const PACKAGES = ['sdk', 'create-darkspere-agent'] as const;

type Manifest = Record<string, unknown> & { publishConfig?: Record<string, unknown> };

/** Builds a package into `folder`: its compiled sources, its README, and its manifest as it is packed. */
async function stage(name: (typeof PACKAGES)[number], folder: string): Promise<void> {
  const source = join(root, name);
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await run(process.execPath, [tsc, '-p', join(source, 'tsconfig.json'), '--outDir', join(folder, 'dist')]);
  await cp(join(source, 'README.md'), join(folder, 'README.md'));
  // What differs between the repository, which runs sources, and the package stands in publishConfig, as pnpm has it.
  const {
    private: _,
    publishConfig,
    ...manifest
  } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as Manifest;
  await writeFile(join(folder, 'package.json'), `${JSON.stringify({ ...manifest, ...publishConfig }, null, 2)}\n`);
}

/** A template is an example, as it is. */
async function copyTemplates(to: string): Promise<void> {
  const examples = join(root, 'examples');
  for (const entry of await readdir(examples, { withFileTypes: true })) {
    const files = entry.isDirectory() ? await readdir(join(examples, entry.name)) : [];
    // The demo agent belongs to Darkspere.
    if (!files.includes('package.json')) continue;
    await mkdir(join(to, entry.name), { recursive: true });
    for (const file of files.filter((one) => /\.(ts|md|json)$/.test(one) && !one.endsWith('.test.ts')))
      await cp(join(examples, entry.name, file), join(to, entry.name, file));
  }
}

/** Packs folders into tarballs in `to`; gives their paths. Nothing is asked of a registry. */
export async function pack(folders: readonly string[], to: string): Promise<string[]> {
  const npm = process.env.npm_execpath;
  const viaNode = npm !== undefined && /npm-cli\.c?js$/.test(npm);
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', to, ...folders.map((one) => resolve(one))];
  const { stdout } = await run(viaNode ? process.execPath : 'npm', viaNode ? [npm, ...args] : args, { cwd: to });
  const packed: unknown = JSON.parse(stdout);
  // npm 11 gives a list, newer ones an object by name.
  const entries = Object.values(packed as Record<string, { filename: string }>);
  return entries.map(({ filename }) => join(to, basename(filename)));
}

/** Builds and packs all packages into `to`; gives their tarballs, in the order of PACKAGES. */
export async function packPackages(to: string): Promise<string[]> {
  const work = await mkdtemp(join(tmpdir(), 'darkspere-packages-'));
  try {
    const [sdk, creator] = PACKAGES.map((name) => join(work, name)) as [string, string];
    await Promise.all(PACKAGES.map((name) => stage(name, join(work, name))));
    await mkdir(to, { recursive: true });
    const [agent] = (await pack([sdk], resolve(to))) as [string];
    await copyTemplates(join(creator, 'templates'));
    // No registry has it, so whoever makes an agent is given it along.
    await cp(agent, join(creator, 'templates', basename(agent)));
    return [agent, ...(await pack([creator], resolve(to)))];
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [to] = process.argv.slice(2);
  if (to === undefined) {
    console.error('Name the folder for the packages: node bin/run.mjs scripts/packages.ts FOLDER');
    process.exitCode = 1;
  } else for (const file of await packPackages(to)) console.log(file);
}
