// The disk of the database, which can be full for a while. Where this process may mount (root on Linux) it is a file system of its
// own in memory that is made as small as what lies on it: the server runs out of room wherever it wants another page. Elsewhere
// statements that insert are refused with what PostgreSQL says then, so that a run knows this fault everywhere.
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, realpath, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Embedded } from '../../src/database/embedded.ts';
import type { Sql } from '../../src/database/pools.ts';
import { endWithUs, unmount } from '../support/left-behind.ts';
import { onServer } from '../support/server.ts';

export type Disk = { fill(): Promise<void>; free(): Promise<void> };

const run = promisify(execFile);
/** Memory is taken only for what lies there. */
const ROOMY = '4g';
/** What a full disk still has: some statements find room, the next ones do not. */
const REST_KB = 128;
/** Every table of the path, and the queue. */
const WRITTEN = ['webhook_receipts', 'messages', 'turns', 'outbound_parts', 'exchanges', 'agent_sessions'];

/** Moves the database of a fresh server onto a disk of its own; null where nothing may be mounted. */
export async function mountDisk(stack: AsyncDisposableStack, server: Embedded, dataDir: string): Promise<Disk | null> {
  const folder = await mkdtemp(join(tmpdir(), 'darkspere-disk-'));
  const isGone = endWithUs({ mount: folder });
  stack.defer(() => unmount(folder).then(isGone));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${ROOMY},mode=0755`, 'tmpfs', folder]);
  } catch {
    return null;
  }
  await chmod(folder, 0o755);
  const space = join(folder, 'space');
  await mkdir(space, { mode: 0o700 });
  const { uid, gid } = await stat(join(await realpath(join(dataDir, 'postgres')), 'data'));
  await chown(space, uid, gid);
  await onServer(server.connection, `create tablespace disk location '${space}'`);
  await onServer(server.connection, `alter database ${server.connection.database} set tablespace disk`);
  // The server must not lose its files under it.
  stack.defer(() => server.stop());
  const resize = (size: string) => run('mount', ['-o', `remount,size=${size}`, folder]);
  return {
    async fill() {
      for (;;) {
        const { blocks, bfree, bsize } = await statfs(folder);
        const usedKb = ((blocks - bfree) * bsize) / 1024;
        // Refused when more has been written since.
        if (
          await resize(`${usedKb + REST_KB}k`).then(
            () => true,
            () => false,
          )
        )
          return;
      }
    },
    free: async () => void (await resize(ROOMY)),
  };
}

/** A migrated database that says it has no room. `sql` is its owner's. */
export async function pretendDisk(sql: Sql): Promise<Disk> {
  await sql.unsafe(`
    create table chaos_disk (is_full boolean not null);
    insert into chaos_disk values (false);
    create function chaos_disk_full() returns trigger language plpgsql security definer as $$
    begin
      if (select is_full from public.chaos_disk) then
        raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
      end if;
      return null;
    end $$;
    ${[...WRITTEN, 'graphile_worker._private_jobs']
      .map((table) => `create trigger chaos_disk before insert on ${table} execute function public.chaos_disk_full();`)
      .join('\n')}`);
  const set = async (isFull: boolean) => void (await sql`update chaos_disk set is_full = ${isFull}`);
  return { fill: () => set(true), free: () => set(false) };
}
