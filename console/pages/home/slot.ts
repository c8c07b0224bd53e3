// The list behind a moment of the charts.
import type { Overview } from '../../../src/http/contract.ts';
import { queryString } from '../../api.ts';

type Point = Pick<Overview['series']['points'][number], 'at' | 'fell_back' | 'failed'>;

/** Who texted then; what went wrong then, where something did. */
export function slotPath({ at, fell_back, failed }: Point, stepMs: number): string {
  return `/conversations${queryString({
    state: fell_back + failed > 0 ? 'failed' : '',
    since: at,
    until: new Date(Date.parse(at) + stepMs).toISOString(),
  })}`;
}
