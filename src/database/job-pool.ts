// The `pg` connections that graphile-worker runs on. It takes every failure to connect for its own to handle: with a pause that
// grows to minutes, and with a line at level error each time. So this pool does not fail: whoever wants a connection waits
// until there is one, and it comes back as soon as the database does.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Connection } from './connection.ts';
import { type Dial, dialler } from './dial.ts';
import type { Role } from './pools.ts';

export type JobPoolOptions = {
  readonly role?: Role;
  readonly max: number;
  /** Settings of the session, as `-c name=value`. */
  readonly settings?: string;
  /** The ids under which this process takes jobs. */
  readonly workerIds?: () => readonly string[];
  /** Called for every failure to connect; without it the first one is thrown. */
  readonly onFailure?: (error: unknown) => void;
};

const CONNECT_MS = 3_000;
/** The library's statements take milliseconds. */
const SILENCE_MS = 10_000;
const LOOK_AGAIN_MS = 200;

export function openJobPool(connection: Connection, options: JobPoolOptions): pg.Pool {
  const { user, password, database } = connection;
  const { role, max, settings = '' } = options;
  const dial = dialler(connection, { connectMs: CONNECT_MS, silenceMs: SILENCE_MS });
  const config: pg.PoolConfig = {
    user,
    ...(password === undefined ? {} : { password }),
    database,
    max,
    application_name: role ?? 'darkspere',
    connectionTimeoutMillis: CONNECT_MS,
    options: `-c TimeZone=UTC${role === undefined ? '' : ` -c role=${role}`} ${settings}`,
    Client: class extends DialledClient {
      constructor(own?: pg.ClientConfig) {
        super(own, dial);
        if (options.workerIds) endOwnJobsOnly(this, options.workerIds);
      }
    },
  };
  const pool = options.onFailure ? new PatientPool(config, options.onFailure) : new pg.Pool(config);
  // A connection that breaks shows in the statement that was on it, and in the next one.
  pool.on('error', (error) => options.onFailure?.(error));
  pool.on('connect', (client) => {
    client.on('error', () => {});
  });
  return pool;
}

type Wire = NonNullable<unknown> & {
  stream: unknown;
  _connecting: boolean;
  connect(): void;
  emit(event: string, ...args: unknown[]): boolean;
  attachListeners(stream: unknown): void;
};

/** A client whose socket comes from our dialler. */
class DialledClient extends pg.Client {
  constructor(config: pg.ClientConfig | undefined, dial: Dial) {
    super(config);
    const wire = (this as unknown as { connection: Wire }).connection;
    wire.connect = () => {
      wire._connecting = true;
      dial().then(
        (socket) => {
          wire.stream = socket;
          socket.on('error', (error) => wire.emit('error', error));
          socket.on('close', () => wire.emit('end'));
          wire.attachListeners(socket);
          wire.emit('connect');
        },
        (error) => wire.emit('error', error),
      );
    };
  }
}

class PatientPool extends pg.Pool {
  private readonly onFailure: (error: unknown) => void;

  constructor(config: pg.PoolConfig, onFailure: (error: unknown) => void) {
    super(config);
    this.onFailure = onFailure;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(
    callback: (error: Error | undefined, client: pg.PoolClient | undefined, done: (release?: unknown) => void) => void,
  ): void;
  override connect(
    callback?: (error: Error | undefined, client: pg.PoolClient | undefined, done: (release?: unknown) => void) => void,
  ): Promise<pg.PoolClient> | undefined {
    const client = this.wait();
    if (!callback) return client;
    client.then(
      (taken) => callback(undefined, taken, onceOnly(taken.release)),
      (error) => callback(error, undefined, () => {}),
    );
    return undefined;
  }

  private async wait(): Promise<pg.PoolClient> {
    for (;;) {
      try {
        return await super.connect();
      } catch (error) {
        if (this.ending) throw error;
        this.onFailure(error);
        await sleep(LOOK_AGAIN_MS);
      }
    }
  }
}

/**
 * The library (graphile-worker 0.18) gives its listening connection back twice when it breaks while its pool ends, and leaves the
 * complaint about that to nobody, which ends the process.
 */
function onceOnly(release: (error?: Error | boolean) => void): (error?: unknown) => void {
  let isReleased = false;
  return (error) => {
    if (isReleased) return;
    isReleased = true;
    release(error as Error | boolean | undefined);
  };
}

/**
 * The library deletes a job that ended by its id alone. A worker that was taken for dead and wakes up would delete the job that
 * another one is running by now, and if that one dies nobody would run it again.
 */
function endOwnJobsOnly(client: pg.Client, workerIds: () => readonly string[]): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  client.query = ((config: unknown, ...rest: unknown[]) => {
    const { name, text, values } = config as { name?: string; text?: string; values?: unknown[] };
    if (!name?.startsWith('complete_job')) return query(config, ...rest);
    return query(
      { name: `own/${name}`, text: `${text} and locked_by = any ($2::text[])`, values: [...values!, workerIds()] },
      ...rest,
    );
  }) as typeof client.query;
}
