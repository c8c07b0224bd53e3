// A fault for one text, or for what answers it, and for nobody else's.
import { DarkspereError } from '../../errors.ts';
import { FAULTS, type FaultName, type FaultPlan, type Faults, type Rule } from './faults.ts';

/** An answer that has not come by then was none: the fault must not lie in wait for another one. */
const ANSWER_MS = 120_000;

/**
 * Adds the faults of `plan`, narrowed to this text of a person, or to what is sent to them next. Call it just before the
 * text. Throws `invalid_request` for faults that happen to no text: lookups, the listener.
 */
export function aimFaults(
  faults: Faults,
  plan: FaultPlan,
  text: { readonly from: string; readonly to: string; readonly body: string },
): void {
  const aimed = (Object.entries(plan) as [FaultName, FaultPlan[FaultName]][]).filter(
    ([, setting]) => setting !== undefined,
  );
  for (const [name] of aimed) {
    const [point] = FAULTS[name];
    if (point === 'lookup' || point === 'listener') {
      throw new DarkspereError('invalid_request', `fault: ${name} happens to no single text. Set it for all.`, {
        param: 'fault',
      });
    }
  }
  for (const [name, setting] of aimed) {
    const rules = typeof setting === 'number' ? [{ count: setting }] : [setting].flat();
    const match =
      FAULTS[name][0] === 'text' ? { from: text.from, to: text.to, body: text.body } : { from: text.to, to: text.from };
    for (const rule of rules) faults.add(name, { count: 1, forMs: ANSWER_MS, ...rule, match } as Rule<FaultName>);
  }
}
