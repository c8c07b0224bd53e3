// How an agent's score, status and circuit follow from its calls and probes. Pure; the formula is explained in README.md. A call
// outranks every probe: a healthy probe never heals an agent whose calls fail.
import type { Category } from '../errors.ts';
import type { AgentStatus, Circuit } from './agent.ts';

/** From this score on an agent is healthy. */
export const HEALTHY_SCORE = 70;

export type HealthState = {
  readonly status: AgentStatus;
  /** 0–100. */
  readonly healthScore: number;
  /** Calls that failed since the last one that was answered. */
  readonly consecutiveFailures: number;
  /** Not to be tried before this time unless nobody else is left. */
  readonly coolingUntil: Date | null;
  /** Share of calls answered, 0–1, each newest one weighing a tenth. */
  readonly successRate: number;
  /** Milliseconds; null: too few calls to say. */
  readonly p95Ms: number | null;
  /** Probes that failed since the last good probe or answered call. */
  readonly probeFailures: number;
  /** Failures since it was last well: how far the pause has doubled. */
  readonly backoff: number;
  readonly circuit: Circuit;
  /** After it was out: calls at once that it is trusted with; null: all it takes. */
  readonly trickle: number | null;
  /** Until then its one trial call is under way, unless it ends before. */
  readonly trialUntil: Date | null;
};

export const WELL: HealthState = {
  status: 'active',
  healthScore: 100,
  consecutiveFailures: 0,
  coolingUntil: null,
  successRate: 1,
  p95Ms: null,
  probeFailures: 0,
  backoff: 0,
  circuit: 'closed',
  trickle: null,
  trialUntil: null,
};

/** What a newest call weighs in the success rate; one that met a busy agent, which is at its limit and not broken, half of it. */
const WEIGHT = 0.1;
const BUSY_WEIGHT = 0.05;
/** From here on the rate counts as whole: it would come near it for ever. */
const WHOLE = 0.995;
/** What each failure in a row takes from the score, and what is left in any case. */
const STREAK_COST = 0.15;
const LEAST_STREAK_FACTOR = 0.1;
/** Up to this an agent is not slow; at fifteen times as long its score is 70. */
const FAST_MS = 1_000;
const SLOW_COST = 0.3 / Math.log(15);
const LEAST_SPEED_FACTOR = 0.5;

const DISABLED_AFTER = 3;
const OPEN_AFTER = 5;
const MAX_PAUSE_MS = 60_000;
/** At so many calls at once an agent has its trust back. */
const TRUSTED = 32;

/** 0–100: success rate × speed × failures in a row. */
export function scoreOf(
  state: Pick<HealthState, 'successRate' | 'p95Ms' | 'consecutiveFailures' | 'probeFailures'>,
): number {
  const streak = Math.max(state.consecutiveFailures, state.probeFailures);
  const streakFactor = Math.max(LEAST_STREAK_FACTOR, 1 - STREAK_COST * streak);
  const slow = state.p95Ms === null || state.p95Ms <= FAST_MS ? 0 : SLOW_COST * Math.log(state.p95Ms / FAST_MS);
  return Math.round(100 * state.successRate * Math.max(LEAST_SPEED_FACTOR, 1 - slow) * streakFactor);
}

/**
 * After a failed call. The pause doubles with each failure since the agent was last well: 2 s, 4 s … 60 s. Three in a row disable
 * it, and so does one while it is trusted with a trickle only; five open its circuit. `wasTrial`: the call was its one trial.
 */
export function afterFailure(state: HealthState, category: Category, now: Date, wasTrial = false): HealthState {
  const isBusy = category === 'rate_limit';
  const consecutiveFailures = state.consecutiveFailures + (isBusy ? 0 : 1);
  const backoff = Math.min(10, state.backoff + (isBusy ? 0 : 1));
  const isOpen = state.circuit !== 'closed' || consecutiveFailures >= OPEN_AFTER;
  // That an agent which is known to be out is still out is no news: a long outage must not cost a long recovery.
  const weight = state.circuit !== 'closed' ? 0 : isBusy ? BUSY_WEIGHT : WEIGHT;
  const isOut = consecutiveFailures >= DISABLED_AFTER || isOpen || state.trickle !== null;
  const until = new Date(now.getTime() + Math.min(MAX_PAUSE_MS, 2 ** Math.max(1, backoff) * 1000));
  const next = {
    ...state,
    consecutiveFailures,
    backoff,
    successRate: state.successRate * (1 - weight),
    circuit: isOpen ? ('open' as const) : state.circuit,
    trickle: isOut ? 1 : null,
    coolingUntil: state.coolingUntil !== null && state.coolingUntil > until ? state.coolingUntil : until,
    trialUntil: wasTrial ? null : state.trialUntil,
  };
  return rated(next, Math.min(state.healthScore, scoreOf(next)));
}

/** After an answered call: the circuit closes, and an agent that was out is trusted with twice as much. */
export function afterSuccess(state: HealthState): HealthState {
  const successRate = state.successRate + WEIGHT * (1 - state.successRate);
  const trickle = state.trickle === null || state.trickle * 2 >= TRUSTED ? null : state.trickle * 2;
  const next = {
    ...state,
    consecutiveFailures: 0,
    probeFailures: 0,
    coolingUntil: null,
    successRate: successRate >= WHOLE ? 1 : successRate,
    circuit: 'closed' as const,
    trickle,
    trialUntil: null,
  };
  const healthScore = Math.max(state.healthScore, scoreOf(next));
  // One answer between failures must not make the next pause short again.
  const isWell = healthScore >= HEALTHY_SCORE && trickle === null;
  return rated({ ...next, backoff: isWell ? 0 : state.backoff }, healthScore);
}

/** After a probe. A good one ends what probes have found, and nothing that calls have. */
export function afterProbe(state: HealthState, isUp: boolean): HealthState {
  if (isUp) {
    const next = { ...state, probeFailures: 0 };
    return rated(next, scoreOf(next));
  }
  const probeFailures = state.probeFailures + 1;
  const next = { ...state, probeFailures, trickle: probeFailures >= DISABLED_AFTER ? 1 : state.trickle };
  return rated(next, Math.min(state.healthScore, scoreOf(next)));
}

/** After the percentiles were counted anew. */
export function afterCounting(state: HealthState, p95Ms: number | null): HealthState {
  const next = { ...state, p95Ms };
  return rated(next, scoreOf(next));
}

function rated(state: HealthState, healthScore: number): HealthState {
  return { ...state, healthScore, status: statusOf(state, healthScore) };
}

/** `deactivated` is somebody’s word, which health never changes. */
function statusOf(state: HealthState, healthScore: number): AgentStatus {
  if (state.status === 'deactivated') return state.status;
  const { consecutiveFailures, probeFailures, trickle } = state;
  const fellBack = trickle !== null && consecutiveFailures > 0;
  if (consecutiveFailures >= DISABLED_AFTER || probeFailures >= DISABLED_AFTER || fellBack) return 'disabled';
  return healthScore < HEALTHY_SCORE ? 'degraded' : 'active';
}

/** Whether an answered call changes anything but the times. */
export function isInTrouble(state: HealthState): boolean {
  return (
    state.successRate < 1 ||
    state.consecutiveFailures > 0 ||
    state.probeFailures > 0 ||
    state.backoff > 0 ||
    state.coolingUntil !== null ||
    state.circuit !== 'closed' ||
    state.trickle !== null ||
    // Slow answers have cost it points, and are forgotten by now.
    state.healthScore < scoreOf(state)
  );
}
