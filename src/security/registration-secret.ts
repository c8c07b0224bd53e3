// The registration secret of a laptop: made on the first start, readable by its owner only.
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newToken } from '../ids.ts';

/** The secret under `dataDir/registration-secret`; two processes that start at once agree on one. */
export async function loadOrCreateSecret(dataDir: string): Promise<string> {
  const path = join(dataDir, 'registration-secret');
  const known = await readFile(path, 'utf8').catch(() => '');
  if (known.trim() !== '') return known.trim();
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, `${newToken('dsp_reg_')}\n`, { mode: 0o600 });
  // A link fails when the name is there already: the file appears whole, and the first one wins.
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft, { force: true });
  return (await readFile(path, 'utf8')).trim();
}
