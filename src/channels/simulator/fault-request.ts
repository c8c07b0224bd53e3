// Faults as the control API writes them: the same names and details, in snake_case.
import { z } from 'zod';
import type { FaultScript, FaultStep } from './fault-script.ts';
import { FAULTS, type FaultName, type FaultPlan, type Faults } from './faults.ts';

const times = z.int().min(0).max(1_000_000);
const ms = z.int().min(0).max(3_600_000);
const chance = z.number().min(0).max(1);
const code = z.int().min(10_000).max(99_999);
const serverError = z.literal([500, 502, 503, 504]);

const WHEN = {
  count: times.optional(),
  ratio: chance.optional(),
  for_ms: ms.min(1).optional(),
  match: z
    .strictObject({ from: z.string().optional(), to: z.string().optional(), body: z.string().optional() })
    .optional(),
};

/** What a fault can be told besides when it happens. */
const DETAILS: Readonly<{ [Name in FaultName]?: z.core.$ZodLooseShape }> = {
  duplicateWebhooks: { copies: z.int().min(1).max(100).optional(), delay_ms: ms.optional() },
  lateWebhooks: { delay_ms: ms.optional() },
  reorderedWebhooks: { wait_ms: ms.optional() },
  http429: { retry_after_seconds: z.int().min(0).max(3600).nullable().optional() },
  http500BeforeAccept: { status: serverError.optional() },
  http500AfterAccept: { status: serverError.optional() },
  http500OnLookup: { status: z.literal([429, 500, 502, 503, 504]).optional() },
  hangBeforeAccept: { hang_ms: ms.optional() },
  hangAfterAccept: { hang_ms: ms.optional() },
  refuseWith: { code, accepted: z.boolean().optional() },
  slowAnswer: { over_ms: ms.optional() },
  lateInList: { delay_ms: ms.optional() },
  missingCallbacks: {
    state: z.enum(['queued', 'sent', 'delivered', 'read', 'undelivered', 'failed', 'canceled']).optional(),
  },
  lateCallbacks: { delay_ms: ms.optional() },
  failWith: { code },
};

const NAMES = Object.keys(FAULTS) as FaultName[];

function snake(name: string): string {
  return name.replace(/[A-Z]|\d+/g, (found) => `_${found.toLowerCase()}`);
}

/** Every fault by the name that a request has for it. */
export const FAULT_NAMES: readonly string[] = NAMES.map(snake);

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function camelKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [camel(name), camelKeys(inner)]));
}

/** One rule or a list of them; a bare number stands for the field `short` of a rule. */
function rulesOf(name: FaultName, short: 'count' | 'ratio') {
  const rule = z.strictObject({ ...WHEN, ...DETAILS[name] });
  const toList = (value: unknown) => [typeof value === 'number' ? { [short]: value } : value].flat();
  return z.preprocess(toList, z.array(rule).max(100)).optional();
}

function faultsBy(short: 'count' | 'ratio') {
  return z.strictObject(Object.fromEntries(NAMES.map((name) => [snake(name), rulesOf(name, short)])));
}

function stepOf(name: FaultName) {
  const start = { at_ms: ms.optional(), at_text: times.min(1).optional(), at_create: times.min(1).optional() };
  return z.strictObject({ fault: z.literal(snake(name)), ...start, ...WHEN, ...DETAILS[name] });
}

const seed = z.int().min(0).max(0xffff_ffff);
const [firstStep, ...otherSteps] = NAMES.map(stepOf);
const step = z
  .discriminatedUnion('fault', [firstStep!, ...otherSteps])
  .refine((value) => [value.at_ms, value.at_text, value.at_create].filter((at) => at !== undefined).length === 1, {
    message: 'needs exactly one of at_ms, at_text and at_create',
  });

/** The body of POST /simulator/faults: any of the faults. */
export const FaultRequest = faultsBy('count').transform((plan) => camelKeys(plan) as FaultPlan);

/** The body of POST /simulator/mix: faults by chance, chosen by a seed. */
export const MixRequest = z
  .strictObject({ seed, ratios: faultsBy('ratio') })
  .transform((mix) => ({ seed: mix.seed, ratios: camelKeys(mix.ratios) as FaultPlan }));

/** The body of POST /simulator/script. */
export const ScriptRequest = z
  .strictObject({ seed: seed.optional(), steps: z.array(step).max(10_000) })
  .transform(({ steps, ...script }): FaultScript => {
    const inner = steps.map((value) => ({ ...(camelKeys(value) as object), fault: camel(value.fault) }));
    return { ...(script as Pick<FaultScript, 'seed'>), steps: inner as unknown as FaultStep[] };
  });

/** What is still to happen, with what each fault is; `left` is null while a fault happens by chance or for a time. */
export function faultsWire(faults: Faults): Record<string, unknown> {
  const pending = faults.pending();
  return Object.fromEntries(
    NAMES.map((name) => {
      const left = pending[name];
      return [snake(name), { left: Number.isFinite(left) ? left : null, counts: FAULTS[name][1] }];
    }),
  );
}
