// The database for commands that look at it or change it, whether Darkspere runs or not.
import { type Config, loadConfig } from '../config.ts';
import { type Connection, parseConnection } from '../database/connection.ts';
import { findEmbedded, startEmbedded } from '../database/embedded.ts';
import { migrate } from '../database/migrate.ts';
import { openSql, type Sql, unreachable } from '../database/pools.ts';
import { DarkspereError, messageOf } from '../errors.ts';
import { printable } from './output.ts';

/** What PostgreSQL says of a table, a column and a role that are not there. */
const NOT_MIGRATED = ['42P01', '42703', '22023'];

/**
 * Runs a command's work on the database of the configuration and says what went wrong. Gives the exit code: 0, 2 for what
 * the caller has to correct, 1 for everything else that stood in the way.
 */
export async function withDatabase(work: (sql: Sql, config: Config) => Promise<void>): Promise<number> {
  try {
    const { config } = loadConfig(process.env, { parts: [] });
    await using stack = new AsyncDisposableStack();
    const connection = await connectionOf(config, stack);
    const sql = openSql(connection, { role: 'darkspere_admin', max: 1 });
    stack.defer(() => sql.end({ timeout: 5 }));
    await sql`select from phone_numbers limit 1`.catch((error: unknown) => {
      throw isNotMigrated(error) ? error : unreachable(connection, error);
    });
    await work(sql, config);
    return 0;
  } catch (error) {
    process.stderr.write(`${printable(explain(error))}\n`);
    const isTheirs = error instanceof DarkspereError && ['configuration', 'validation'].includes(error.category);
    return isTheirs ? 2 : 1;
  }
}

/** The server of a copy that runs, or one of our own for as long as the command lasts. */
async function connectionOf({ database, dataDir }: Config, stack: AsyncDisposableStack): Promise<Connection> {
  if (database.kind === 'external') return parseConnection(database.url);
  const running = await findEmbedded(dataDir);
  if (running) return running;
  const embedded = await startEmbedded({ dataDir });
  stack.defer(() => embedded.stop());
  await migrate(embedded.connection);
  return embedded.connection;
}

function isNotMigrated(error: unknown): boolean {
  return NOT_MIGRATED.includes(String((error as { code?: unknown }).code));
}

function explain(error: unknown): string {
  if (isNotMigrated(error)) return 'The database is not at this release yet. Bring it there with: darkspere migrate';
  return error instanceof DarkspereError ? `${error.code}: ${error.message}` : messageOf(error);
}
