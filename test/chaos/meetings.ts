// Two or three statements about one thing at the same moment: what comes of it is what comes of one after the other. The first is held
// open with its locks until each of the others waits, or is through without waiting, so statements meet whom chance seldom brings
// together: one that waited for a lock goes on with rows as they are by then, but with other tables as they were when it began.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Sql } from '../../src/database/pools.ts';
import type { TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

/**
 * What is done to a scene, on a connection of its role's pool or the one that holds a transaction open; gives what its caller is
 * told. `place`: how many began before it, whichever is through first.
 */
export type Act<Scene> = {
  readonly as: 'web' | 'worker';
  run(scene: Scene, sql: Sql, place: number): Promise<unknown>;
};

export type Play<Scene> = {
  /** Where acts meet. */
  readonly scenes: Readonly<Record<string, () => Promise<Scene>>>;
  readonly acts: Readonly<Record<string, Act<Scene>>>;
  /** Everything that is known of it, without ids and times. */
  left(scene: Scene): Promise<unknown>;
};

/** What the caller of something that refuses by throwing is told. */
export const verdictOf = (work: Promise<unknown>): Promise<string> =>
  work.then(() => 'ok').catch((error: { code: string }) => error.code);

/** The first of the acts is the one that is held open. */
export type Meeting = { readonly scene: string; readonly acts: readonly string[] };

/** Each of two. */
export function pairsOf<Scene>({ scenes, acts }: Play<Scene>): Meeting[] {
  const names = Object.keys(acts);
  return Object.keys(scenes).flatMap((scene) =>
    names.flatMap((first) => names.map((second) => ({ scene, acts: [first, second] }))),
  );
}

function ordersOf<T>(all: readonly T[]): T[][] {
  if (all.length === 0) return [[]];
  return all.flatMap((one, i) => ordersOf(all.toSpliced(i, 1)).map((others) => [one, ...others]));
}

/** Rejects when what comes of a meeting comes of its acts in no order. */
export async function checkMeeting<Scene>(db: TestDatabase, play: Play<Scene>, meeting: Meeting): Promise<void> {
  const acts = meeting.acts.map((name) => play.acts[name]!);
  const act = (place: number, scene: Scene) => {
    const { as, run } = acts[place]!;
    return run(scene, db.pools[as], place).catch(String);
  };

  const inOrder = async (order: readonly number[]) => {
    const scene = await play.scenes[meeting.scene]!();
    const said: unknown[] = [];
    for (const place of order) said[place] = await act(place, scene);
    return { said, left: await play.left(scene) };
  };

  const atOnce = async () => {
    const scene = await play.scenes[meeting.scene]!();
    const first = acts[0]!;
    const under: Promise<unknown>[] = [];
    let said: unknown;
    let through = 0;
    await db.pools[first.as].begin(async (tx) => {
      said = await first.run(scene, tx as unknown as Sql, 0);
      for (let place = 1; place < acts.length; place++) {
        under.push(act(place, scene).finally(() => through++));
        await until(async () => through + (await waiting(db)) >= under.length, { intervalMs: 1 });
      }
    });
    return { said: [said, ...(await Promise.all(under))], left: await play.left(scene) };
  };

  const met = await atOnce();
  const orders: unknown[] = [];
  for (const order of ordersOf([...acts.keys()])) {
    const one = await inOrder(order);
    if (isDeepStrictEqual(met, one)) return;
    orders.push({ order, ...one });
  }
  assert.fail(
    `${meeting.scene}: ${meeting.acts.join(', ')}: no order gives what came of it\n${JSON.stringify({ met, orders }, null, 2)}`,
  );
}

/** So many meetings of two or three, by chance: of three there are half a million. A failure says the seed. */
export async function checkSome<Scene>(
  db: TestDatabase,
  play: Play<Scene>,
  { size, ...more }: { readonly size: 2 | 3; readonly numRuns: number; readonly seed?: number },
): Promise<void> {
  const meeting = fc.record({
    scene: fc.constantFrom(...Object.keys(play.scenes)),
    acts: fc.array(fc.constantFrom(...Object.keys(play.acts)), { minLength: size, maxLength: size }),
  });
  const property = fc.asyncProperty(meeting, (each) => checkMeeting(db, play, each));
  await fc.assert(property, { ...more, endOnFailure: true });
}

/** Statements in this database that wait for another one. */
async function waiting({ admin }: TestDatabase): Promise<number> {
  const [row] = await admin<{ count: number }[]>`
    select count(distinct l.pid)::int as count
    from pg_locks l join pg_stat_activity a using (pid)
    where not l.granted and a.datname = current_database()`;
  return row!.count;
}
