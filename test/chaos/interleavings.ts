// Interleavings by chance: what gateways, workers and the carrier do to two conversations, in any order, on a real database.
import fc, { type AsyncCommand } from 'fast-check';
import type { TestDatabase } from '../support/database.ts';
import {
  agree,
  arrive,
  arriveAgain,
  type Conversation,
  callBack,
  claim,
  comeToAnEnd,
  die,
  dispatch,
  finish,
  giveBackTo,
  keyword,
  type Model,
  newModel,
  operatorSays,
  postLate,
  postOwn,
  presumeDead,
  REPORTS,
  type Real,
  realOf,
  record,
  release,
  settle,
  start,
  takeOverBy,
  tenMinutesPass,
  timePasses,
  type Word,
} from './mailbox-model.ts';

type Step = AsyncCommand<Model, Real>;

/** A command on one of the conversations. It is left out where `may` says that it makes no sense. */
function step(
  name: string,
  which: number,
  act: (one: Conversation, real: Real) => Promise<void>,
  may: (one: Conversation) => boolean = (one) => one.id !== null,
): Step {
  return {
    check: ({ conversations }) => may(conversations[which]!),
    async run({ conversations }, real) {
      await act(conversations[which]!, real);
      await agree(conversations[which]!, real);
    },
    toString: () => `${name} [${which}]`,
  };
}

const always = () => true;
/** Mostly the first one: only what happens to one conversation can go wrong between its steps. */
const which = fc.constantFrom(0, 0, 0, 0, 1);
/** Which of several, the newest first; mostly that one. */
const some = fc.oneof(fc.constant(0), fc.nat({ max: 5 }));
const operator = fc.constantFrom('Ida', 'Ida', 'Ida', 'Bo');
/** Mostly the newest job, sometimes one of the tokens before it. */
const behind = fc.constantFrom(0, 0, 0, 1, 2);

const texts = which.map((w) => step('arrive', w, arrive, always));
/**
 * A text and its answer, as it mostly goes: without these most sequences would never come as far as a send. Sometimes the agent
 * has said something by itself just before, which the answer passes.
 */
const answers = fc
  .tuple(which, fc.integer({ min: 1, max: 3 }), fc.constantFrom('reply', 'reply', 'reply', 'later'), fc.boolean())
  .map(([w, parts, how, isAfterPost]) =>
    step(
      `answer ${how} ${parts}${isAfterPost ? ' after a post' : ''}`,
      w,
      async (one, real) => {
        await arrive(one, real);
        if (one.optedOut || one.takenBy !== null) return;
        if (isAfterPost) await postOwn(one, real);
        await start(one, real);
        await finish(one, real, 0, parts, how);
      },
      always,
    ),
  );
const starts = fc.tuple(which, behind).map(([w, b]) => step(`start -${b}`, w, (one, real) => start(one, real, b)));
const how = fc.constantFrom('reply', 'reply', 'fallback', 'later');
const ends = fc.tuple(which, some, fc.integer({ min: 1, max: 3 }), how).map(([w, n, parts, end]) =>
  step(
    `finish ${n} ${end} ${parts}`,
    w,
    (one, real) => finish(one, real, n, parts, end),
    (one) => one.held.length > 0,
  ),
);
const posts = fc.tuple(which, some).map(([w, n]) =>
  step(
    `post later ${n}`,
    w,
    (one, real) => postLate(one, real, n),
    (one) => one.deferred.size > 0,
  ),
);
const claims = fc
  .tuple(which, some)
  .map(([w, n]) => step(`claim ${n}`, w, async (one, real) => void (await claim(one, real, n))));
const sends = fc
  .tuple(which, some, fc.constantFrom(true, true, false))
  .map(([w, n, taken]) =>
    step(`dispatch ${n} ${taken ? 'taken' : 'refused'}`, w, (one, real) => dispatch(one, real, n, taken), hasClaims),
  );
const records = fc
  .tuple(which, some, fc.constantFrom(true, true, false))
  .map(([w, n, heard]) =>
    step(`record ${n} ${heard ? 'heard' : 'unknown'}`, w, (one, real) => record(one, real, n, heard), hasClaims),
  );
const deaths = fc
  .tuple(which, some)
  .map(([w, n]) => step(`presume dead ${n}`, w, (one) => presumeDead(one, n), hasClaims));
/** A worker that hangs over a part, with or without the carrier's answer, until the part is looked up without it. */
const hangs = fc.tuple(which, fc.constantFrom('taken', 'refused', 'not sent')).map(([w, end]) =>
  step(`hang, ${end}`, w, async (one, real) => {
    await claim(one, real, 0);
    if (one.claims.length === 0) return;
    if (end !== 'not sent') await dispatch(one, real, 0, end === 'taken');
    await presumeDead(one, 0);
    await claim(one, real, 0);
    await settle(one, real);
  }),
);
const lookups = which.map((w) => step('settle', w, settle));
const rest = [
  fc.tuple(which, some).map(([w, n]) =>
    step(
      `arrive again ${n}`,
      w,
      (one, real) => arriveAgain(one, real, n),
      (one) => one.sids.length > 0,
    ),
  ),
  fc
    .tuple(which, fc.constantFrom<Word>('stop', 'start', 'start', 'start', 'help', 'reset'))
    .map(([w, word]) => step(word, w, (one, real) => keyword(one, real, word), always)),
  fc.tuple(which, behind).map(([w, b]) => step(`give back -${b}`, w, (one, real) => giveBackTo(one, real, b))),
  fc.tuple(which, some).map(([w, n]) => step(`die ${n}`, w, (one) => die(one, n), hasClaims)),
  fc
    .tuple(which, some, fc.constantFrom(...REPORTS), fc.constantFrom(false, false, true))
    .map(([w, n, state, foreign]) =>
      step(
        `callback ${n} ${state}${foreign ? ' of another message' : ''}`,
        w,
        (one, real) => callBack(one, real, n, state, foreign),
        (one) => one.carrier.size > 0,
      ),
    ),
  which.map((w) => step('time passes', w, timePasses)),
  fc.tuple(which, operator).map(([w, by]) => step(`${by} takes over`, w, (one, real) => takeOverBy(one, real, by))),
  fc
    .tuple(which, operator, fc.constantFrom(false, false, true))
    .map(([w, by, again]) =>
      step(`${by} says${again ? ' again' : ''}`, w, (one, real) => operatorSays(one, real, by, again)),
    ),
  fc
    .tuple(which, operator, fc.constantFrom(false, false, true))
    .map(([w, by, forgotten]) =>
      step(forgotten ? 'a takeover is forgotten' : `${by} hands back`, w, (one, real) =>
        release(one, real, by, forgotten),
      ),
    ),
  which.map((w) => step('post of its own', w, postOwn)),
  which.map((w) => step('ten minutes pass', w, tenMinutesPass)),
];

function hasClaims(one: Conversation): boolean {
  return one.claims.length > 0;
}

export type InterleavingOptions = {
  readonly runs: number;
  readonly seed?: number;
  /** What fast-check printed of a failure: its `path` and `replayPath`. */
  readonly path?: string;
  readonly replayPath?: string;
  readonly maxCommands?: number;
};

/** Makes the runs; throws the smallest sequence it can find that breaks the model, with what replays it. */
export async function checkInterleavings(db: TestDatabase, options: InterleavingOptions): Promise<void> {
  const { runs, seed, path, replayPath, maxCommands = 60 } = options;
  // The way of a text comes up most often, or few of them would get anywhere.
  const main = [
    texts,
    answers,
    answers,
    starts,
    ends,
    ends,
    posts,
    claims,
    claims,
    sends,
    sends,
    records,
    lookups,
    deaths,
    hangs,
  ];
  const commands = fc.commands([...main, ...rest], {
    maxCommands,
    size: 'max',
    ...(replayPath === undefined ? {} : { replayPath }),
  });
  const real = await realOf(db);
  await fc.assert(
    fc.asyncProperty(commands, async (steps) => {
      const model = newModel();
      await fc.asyncModelRun(() => ({ model, real }), steps);
      for (const one of model.conversations) await comeToAnEnd(one, real);
    }),
    {
      numRuns: runs,
      // The sequence is the report; a run takes some milliseconds, and so does each try to make it smaller.
      interruptAfterTimeLimit: 20 * 60_000,
      ...(seed === undefined ? {} : { seed }),
      ...(path === undefined ? {} : { path }),
    },
  );
}
