// The database of a process, open or on its way. Most parts cannot begin without it. A gateway that has a spool can: it takes
// texts at once, and the database is migrated and read as soon as it answers.
import { setTimeout as sleep } from 'node:timers/promises';
import { keepNumbers, type OurNumbers, openNumbers } from '../accounts/numbers.ts';
import type { Config, Part } from '../config.ts';
import { type Connection, parseConnection } from '../database/connection.ts';
import { startEmbedded } from '../database/embedded.ts';
import { isOutage } from '../database/faults.ts';
import { migrate } from '../database/migrate.ts';
import type { Outage } from '../database/outage.ts';
import { type Pools, preparePools, unreachable } from '../database/pools.ts';
import { shareClock } from '../database/shared-clock.ts';
import { DarkspereError, messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';

export type Storage = {
  readonly connection: Connection;
  readonly pools: Pools;
  readonly numbers: OurNumbers;
  /** True once the database has been migrated and read; it may be away again since. */
  isOpen(): boolean;
};

export type StorageOptions = {
  readonly config: Config;
  readonly parts: readonly Part[];
  readonly logger: Logger;
  readonly outage: Outage;
  /** The database cannot be used any more: the program should end. */
  readonly onLost: (error: unknown) => void;
};

/** Between tries to reach a database that was away at the start. */
const RETRY_MS = 500;

/** Opens the database; what has to be closed again goes on the stack. Throws what stands in the way. */
export async function openStorage(options: StorageOptions, stack: AsyncDisposableStack): Promise<Storage> {
  const { config, logger, outage } = options;
  const connection = await findDatabase(options, stack);
  const pools = preparePools(connection, config.pools);
  stack.defer(() => pools.close());
  const numbers = openNumbers(pools.admin, { configured: config.numbers, logger, outage });
  stack.defer(() => numbers.close());
  let isOpen = false;

  async function begin(): Promise<void> {
    const { applied } = await migrate(connection);
    if (applied.length > 0) logger.info({ applied: applied.length }, 'database migrated');
    await pools.check();
    const clock = await shareClock(pools.admin, outage);
    stack.defer(() => clock.close());
    await keepNumbers(pools.admin, config.numbers);
    await numbers.read();
    isOpen = true;
  }

  try {
    await begin();
  } catch (error) {
    // A wrong password or a missing database will not come right by itself.
    if (!isOutage(error)) throw error;
    if (!canWait(options)) throw error instanceof DarkspereError ? error : unreachable(connection, error);
    logger.warn({ error: messageOf(error) }, 'the database is away; texts are kept in the spool until it is back');
    const stopping = new AbortController();
    const waiting = beginLater(begin, stopping.signal, logger).catch(options.onLost);
    stack.defer(async () => {
      stopping.abort();
      await waiting;
    });
  }
  return { connection, pools, numbers, isOpen: () => isOpen };
}

async function findDatabase(
  { config, logger, onLost }: StorageOptions,
  stack: AsyncDisposableStack,
): Promise<Connection> {
  if (config.database.kind === 'external') return parseConnection(config.database.url);
  const embedded = await startEmbedded({
    dataDir: config.dataDir,
    log: (line) => logger.info({ source: 'postgres' }, line),
    onLost,
  });
  stack.defer(() => embedded.stop());
  return embedded.connection;
}

/** A worker has nothing to do without the database, and nowhere to put what an agent that registers says. */
function canWait({ config, parts }: StorageOptions): boolean {
  return config.spool !== null && config.database.kind === 'external' && parts.every((part) => part === 'gateway');
}

async function beginLater(begin: () => Promise<void>, signal: AbortSignal, logger: Logger): Promise<void> {
  while (!signal.aborted) {
    try {
      await begin();
      logger.info('the database is there');
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!isOutage(error)) throw error;
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}
