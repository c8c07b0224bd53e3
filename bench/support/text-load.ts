// Which texts are offered when: an open loop, whose times are fixed before the first text leaves.
import { seededRandom } from './statistics.ts';

export type PlannedText = { readonly atMs: number; readonly person: number };

export type LoadShape = {
  readonly perSecond: number;
  readonly seconds: number;
  readonly people: number;
  readonly seed: number;
};

/** One in ten people who text sends three in a row, 10 ms apart, which is faster than they are answered. */
const RUN_SHARE = 0.1;
const RUN_LENGTH = 3;
const RUN_GAP_MS = 10;

/** Arrivals at random (Poisson), in order of time; `perSecond` counts every text, those of the runs as well. */
export function planTexts(shape: LoadShape): PlannedText[] {
  const random = seededRandom(shape.seed);
  const meanGapMs = (1000 / shape.perSecond) * (1 + RUN_SHARE * (RUN_LENGTH - 1));
  const texts: PlannedText[] = [];
  for (let atMs = 0; atMs < shape.seconds * 1000; atMs += -Math.log(1 - random()) * meanGapMs) {
    const person = Math.floor(random() * shape.people);
    const length = random() < RUN_SHARE ? RUN_LENGTH : 1;
    for (let i = 0; i < length; i++) texts.push({ atMs: atMs + i * RUN_GAP_MS, person });
  }
  return texts.sort((a, b) => a.atMs - b.atMs);
}
