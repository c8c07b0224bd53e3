// A real Chromium out of npm, so that browser tests need nothing that is installed on the machine.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';

/** A name that leads the browser to this machine, and that is not known for one of this machine. */
export const NETWORK_NAME = 'darkspere.test';

/**
 * Beside Playwright's own flags. The package's list is made for cloud functions and is not used: it would put everything into
 * one process (which then crashes as one) and turn off what a console has to get along with: CORS, site isolation and the
 * refusal of insecure content.
 */
const FLAGS = [
  // The same widths of letters on every machine, whatever its settings for fonts are.
  '--font-render-hinting=none',
  // There is no graphics card to talk to, and nothing of ours is three-dimensional.
  '--disable-gpu',
  // This machine under a name of a network: no browser trusts plain http there as it trusts localhost.
  `--host-resolver-rules=MAP ${NETWORK_NAME} 127.0.0.1`,
];
const UNPACK_MS = 120_000;

/** Another Chrome or Chromium, where the packaged one (Linux, x64) cannot run. */
const NAMED = process.env.DARKSPERE_TEST_BROWSER ?? '';

/** Makes that the first launch is as quick as the others. */
export async function prepareChromium(): Promise<void> {
  if (NAMED === '') await unpackChromium();
}

export async function launchChromium(): Promise<Browser> {
  if (NAMED !== '') return chromium.launch({ executablePath: NAMED, args: FLAGS });
  const home = await unpackChromium();
  return chromium.launch({
    executablePath: join(home, 'chromium'),
    args: FLAGS,
    env: {
      ...process.env,
      // NSS and its like, which small images do not have.
      LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, join(home, 'al2023', 'lib')].filter(Boolean).join(':'),
    },
  });
}

/**
 * The folder with the unpacked browser. The package unpacks into the temporary folder and takes a file that another process is
 * still writing for a whole one; so it unpacks where nobody looks, and one rename makes it visible.
 */
async function unpackChromium(): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('The packaged browser runs on Linux x64. Name a Chrome: DARKSPERE_TEST_BROWSER=/path/to/chrome');
  const packaged = new URL('.', import.meta.resolve('@sparticuz/chromium'));
  const { version } = JSON.parse(await readFile(new URL('../package.json', packaged), 'utf8')) as { version: string };
  const home = join(tmpdir(), `darkspere-chromium-${version}-${process.getuid?.() ?? 0}`);
  if (existsSync(home)) return home;
  const staging = await mkdtemp(`${home}-`);
  try {
    const entry = fileURLToPath(new URL('index.js', packaged));
    // A process of its own, because the package asks for the temporary folder of the whole process; and it brings its
    // libraries only where it believes to be in such a cloud function.
    await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '-e', `await (await import(${JSON.stringify(entry)})).default.executablePath()`],
      { env: { ...process.env, TMPDIR: staging, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' }, timeout: UNPACK_MS },
    );
    await rename(staging, home);
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    // Somebody else was first.
    if (!existsSync(home)) throw error;
  }
  return home;
}
