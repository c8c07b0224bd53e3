// A script of faults: what goes wrong when. Tied to the count of texts or requests it replays exactly; tied to the clock
// it replays as well as the clock does.
import type { FaultName, Faults, Rule } from './faults.ts';
import type { Timers } from './timers.ts';

/** When a step begins: after a time, or just before the n-th text or create request from the start of the script. */
export type StepStart = { readonly atMs: number } | { readonly atText: number } | { readonly atCreate: number };

export type FaultStep = StepStart & { readonly [Name in FaultName]: { readonly fault: Name } & Rule<Name> }[FaultName];

export type FaultScript = {
  /** For the ratios of all steps; default: that of the simulator. */
  readonly seed?: number;
  readonly steps: readonly FaultStep[];
};

export type Scripts = {
  /** Replaces the script that plays and takes every fault away first. */
  play(script: FaultScript, faults: Faults): void;
  /** No further step begins. */
  stop(): void;
  /** Called before each text and create request is looked at. */
  onSubject(point: 'text' | 'create'): void;
};

type Playing = { readonly waiting: Set<FaultStep>; texts: number; creates: number; readonly faults: Faults };

export function createScripts(timers: Timers): Scripts {
  let playing: Playing | null = null;

  const begin = (run: Playing, step: FaultStep): void => {
    if (playing !== run || !run.waiting.delete(step)) return;
    const { fault, atMs, atText, atCreate, ...rule } = step as FaultStep & Record<string, unknown>;
    run.faults.add(fault, rule as Rule<typeof fault>);
  };

  return {
    play({ seed, steps }, faults) {
      const run: Playing = { waiting: new Set(steps), texts: 0, creates: 0, faults };
      faults.clear();
      if (seed !== undefined) faults.mix(seed, {});
      playing = run;
      for (const step of steps) if ('atMs' in step) timers.after(step.atMs, () => begin(run, step));
    },
    stop() {
      playing = null;
    },
    onSubject(point) {
      if (playing === null) return;
      if (point === 'text') playing.texts += 1;
      else playing.creates += 1;
      for (const step of playing.waiting) {
        const isDue =
          ('atText' in step && step.atText <= playing.texts) ||
          ('atCreate' in step && step.atCreate <= playing.creates);
        if (isDue) begin(playing, step);
      }
    },
  };
}
