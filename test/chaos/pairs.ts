// Two statements about one thing at the same moment: what comes of it is what comes of one after the other. The first is held open with
// its locks until the second waits for it, or is through without waiting, so each pair meets where chance seldom brings it: a
// statement that waited for a lock goes on with rows as they are by then, but with other tables as they were when it began.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { Sql } from '../../src/database/pools.ts';
import type { TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

/** What is done to a scene, on a connection of its role's pool or the one that holds a transaction open; gives what its caller is told. */
export type Act<Scene> = { readonly as: 'web' | 'worker'; run(scene: Scene, sql: Sql): Promise<unknown> };

export type Play<Scene> = {
  /** Where two acts meet. */
  readonly scenes: Readonly<Record<string, () => Promise<Scene>>>;
  readonly acts: Readonly<Record<string, Act<Scene>>>;
  /** Everything that is known of it, without ids and times. */
  left(scene: Scene): Promise<unknown>;
};

/** What the caller of something that refuses by throwing is told. */
export const verdictOf = (work: Promise<unknown>): Promise<string> =>
  work.then(() => 'ok').catch((error: { code: string }) => error.code);

export type Pair = { readonly scene: string; readonly first: string; readonly second: string };

export function pairsOf<Scene>({ scenes, acts }: Play<Scene>): Pair[] {
  const names = Object.keys(acts);
  return Object.keys(scenes).flatMap((scene) =>
    names.flatMap((first) => names.map((second) => ({ scene, first, second }))),
  );
}

/** Rejects when what comes of a pair comes of neither order. */
export async function checkPair<Scene>(db: TestDatabase, play: Play<Scene>, pair: Pair): Promise<void> {
  const [first, second] = [play.acts[pair.first]!, play.acts[pair.second]!];
  const act = ({ as, run }: Act<Scene>, scene: Scene) => run(scene, db.pools[as]).catch(String);

  const inOrder = async (one: Act<Scene>, other: Act<Scene>) => {
    const scene = await play.scenes[pair.scene]!();
    const said = [await act(one, scene), await act(other, scene)];
    return { said, left: await play.left(scene) };
  };

  const atOnce = async () => {
    const scene = await play.scenes[pair.scene]!();
    const { promise, resolve } = Promise.withResolvers<unknown>();
    let said: unknown;
    let isThrough = false;
    await db.pools[first.as].begin(async (tx) => {
      const [self] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
      said = await first.run(scene, tx as unknown as Sql);
      const waits = () =>
        db.admin`select from pg_locks l where not granted and ${self!.pid} = any (pg_blocking_pids(l.pid))`;
      resolve(act(second, scene).finally(() => (isThrough = true)));
      await until(async () => isThrough || (await waits()).length > 0, { intervalMs: 1 });
    });
    return { said: [said, await promise], left: await play.left(scene) };
  };

  const met = await atOnce();
  const one = await inOrder(first, second);
  if (isDeepStrictEqual(met, one)) return;
  const other = await inOrder(second, first);
  other.said.reverse();
  if (isDeepStrictEqual(met, other)) return;
  const what = JSON.stringify({ met, one, other }, null, 2);
  assert.fail(`${pair.scene}: ${pair.first}, ${pair.second}: neither order gives what came of it\n${what}`);
}
