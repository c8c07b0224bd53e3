// How an agent was.
import type { AgentHealth } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { ChartTable, LazyCharts, NOTHING } from '../../parts/lazy-charts.tsx';

export function HistoryPanel({ health }: { health: AgentHealth }) {
  return (
    <LazyCharts
      name="agent charts"
      load={() => import('./history-charts.tsx')}
      draw={({ HistoryCharts }) => <HistoryCharts health={health} />}
    >
      <ChartTable
        caption={`Score, calls and time to answer, every ${duration(health.step_ms)}`}
        heads={['Score', 'Calls', 'Failed', 'p50', 'p95', 'p99']}
        rows={health.points.map(({ at, health_score, calls, failures, p50_ms, p95_ms, p99_ms }) => ({
          at,
          cells: [
            health_score ?? NOTHING,
            calls,
            failures,
            ...[p50_ms, p95_ms, p99_ms].map((ms) => (ms === null ? NOTHING : duration(ms))),
          ],
        }))}
      />
    </LazyCharts>
  );
}
