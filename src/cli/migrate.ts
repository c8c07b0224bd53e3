// `darkspere migrate`: for deployments that migrate before they roll out.
import { loadConfig } from '../config.ts';
import { startEmbedded } from '../database/embedded.ts';
import { migrate } from '../database/migrate.ts';
import { DarkspereError, messageOf } from '../errors.ts';
import { printJson } from './output.ts';

/** Migrates the database of the configuration; exit code 0, 1 on failure, 2 for a bad configuration. */
export async function migrateCommand(json: boolean): Promise<number> {
  try {
    const { config } = loadConfig(process.env, { parts: [] });
    const embedded = config.database.kind === 'embedded' ? await startEmbedded({ dataDir: config.dataDir }) : null;
    try {
      const database = embedded?.url ?? (config.database as { url: string }).url;
      const { applied, version, indexes } = await migrate(database, { indexes: 'all' });
      if (json) {
        printJson({ version, applied, indexes });
        return 0;
      }
      process.stdout.write(
        applied.length === 0 ? `The database is up to date (${version}).\n` : `Applied ${applied.join(', ')}.\n`,
      );
      if (indexes.length > 0) process.stdout.write(`Built the indexes ${indexes.join(', ')}.\n`);
    } finally {
      await embedded?.stop();
    }
    return 0;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return error instanceof DarkspereError && error.category === 'configuration' ? 2 : 1;
  }
}
