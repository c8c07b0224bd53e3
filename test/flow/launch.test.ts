// How the program is started: by the pinned Node, which keeps our code as it compiled it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LAUNCHER = new URL('../../bin/launch.mjs', import.meta.url).href;

test('compiled code is kept beside the code, or where whoever starts it says', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'darkspere-launch-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const script = join(folder, 'where.mjs');
  await writeFile(script, `import { getCompileCacheDir } from 'node:module';\nconsole.log(getCompileCacheDir());\n`);
  /** The folder that Node made for its own version, and so what is around it. */
  const keptIn = async (env: NodeJS.ProcessEnv) => {
    const launch = `(await import(${JSON.stringify(LAUNCHER)})).launch(${JSON.stringify(relative(ROOT, script))}, [])`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', launch], { env });
    return dirname(stdout.trim());
  };
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  assert.equal(await keptIn(env), join(ROOT, 'node_modules', '.cache', 'compiled'));
  assert.equal(await keptIn({ ...env, NODE_COMPILE_CACHE: folder }), folder);
  // A file where a folder should be: Node goes without, and the program starts.
  assert.equal(await keptIn({ ...env, NODE_COMPILE_CACHE: join(script, 'no-folder') }), dirname('undefined'));
});
