// A folder with an agent in it, made from one of the templates.
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Template } from './names.ts';

/** A template is an example: in the package they lie beside the program, in the repository where they belong. */
const TEMPLATES = ['../templates', '../../examples']
  .map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
  .find(existsSync);

const SDK = fileURLToPath(new URL('../../sdk', import.meta.url));

export class CreateError extends Error {}

type Manifest = {
  scripts: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
} & Record<string, unknown>;

const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    module: 'nodenext',
    types: ['node'],
    noEmit: true,
    strict: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  },
};

/** The types that editors and `npm run check` look with; running needs neither. */
const DEV_DEPENDENCIES = { '@types/node': '^24.0.0', typescript: '^7.0.0' };

/**
 * Makes the folder `name` in `parent`. Throws CreateError when there is something in its place already; nothing is changed
 * then.
 */
export async function createAgent(parent: string, name: string, template: Template): Promise<string> {
  const folder = join(parent, name);
  await makeEmptyFolder(folder);
  const source = join(TEMPLATES ?? '', `${template}-agent`);
  // Whoever runs an example leaves more there than its files.
  const files = (await readdir(source)).filter((file) => /^[^.].*\.(ts|md|json)$/.test(file));
  for (const file of files) await cp(join(source, file), join(folder, file));
  // Under that name it registers, people choose it and operators find it.
  const program = join(folder, 'agent.ts');
  await writeFile(program, named(await readFile(program, 'utf8'), name));
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as Manifest;
  const scripts = { ...manifest.scripts, check: 'tsc' };
  const made = {
    ...manifest,
    name,
    version: '0.1.0',
    scripts,
    dependencies: { ...manifest.dependencies, ...(await bringSdk(folder)) },
    devDependencies: { ...DEV_DEPENDENCIES, ...manifest.devDependencies },
  };
  await writeFile(join(folder, 'package.json'), json(made));
  await writeFile(join(folder, 'tsconfig.json'), json(TSCONFIG));
  await writeFile(join(folder, '.gitignore'), 'node_modules/\n.darkspere-agent/\n.env\n');
  await writeFile(join(folder, '.env'), environment(name, template), { mode: 0o600 });
  await writeFile(join(folder, 'README.md'), await readme(source, name));
  return folder;
}

/** The dependency on the SDK, which no registry has: its tarball, laid into the folder, or in the repository the SDK itself. */
async function bringSdk(folder: string): Promise<Record<string, string>> {
  const tarball = (await readdir(TEMPLATES ?? '')).find((file) => /^darkspere-agent-.*\.tgz$/.test(file));
  if (tarball === undefined) return { '@darkspere/agent': `file:${relative(folder, SDK).replaceAll(sep, '/')}` };
  await cp(join(TEMPLATES ?? '', tarball), join(folder, tarball));
  return { '@darkspere/agent': `file:${tarball}` };
}

/** Takes a folder that is there when it is empty; the `.git` of a fresh repository does not count. */
async function makeEmptyFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch {
    throw new CreateError(`${folder} cannot be made: something else is in its place, or its parent is closed.`);
  }
  const there = (await readdir(folder)).filter((entry) => entry !== '.git');
  if (there.length > 0) {
    throw new CreateError(
      `${folder} is not empty (${there.slice(0, 3).join(', ')}). Choose another name, or empty it.`,
    );
  }
}

function environment(name: string, template: Template): string {
  const lines = [
    '# Which numbers ask this agent: those of this type (darkspere numbers set NUMBER --agent-type …).',
    `AGENT_TYPE=${name}`,
    '',
    '# The secret of the registration service. In development the one of a Darkspere in this folder or above it is found;',
    '# elsewhere it is the content of .darkspere/registration-secret in the folder of Darkspere.',
    '# REGISTRATION_SECRET=',
    ...(template === 'llm'
      ? [
          '',
          '# The model. OPENAI_BASE_URL and OPENAI_API_KEY say where it is.',
          'OPENAI_BASE_URL=http://127.0.0.1:11434/v1',
          'OPENAI_MODEL=llama3.2',
        ]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** The program of an example under another name, which stands in the call that serves or joins. */
function named(program: string, name: string): string {
  return program.replace(/((?:serveAgent|joinDarkspere)\(\{\s*name: )'[^']*'/, (_, before) => `${before}'${name}'`);
}

/** The example’s words; its commands with what stands in `.env` here. */
async function readme(source: string, name: string): Promise<string> {
  const text = await readFile(join(source, 'README.md'), 'utf8');
  return text
    .replace(/--agent-type \S+/g, `--agent-type ${name}`)
    .replace(/^(?:[A-Z_]+=\S+ )+npm start$/m, 'npm install\nnpm start');
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
