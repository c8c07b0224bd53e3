// What the figures were over time.
import type { Overview } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { ChartTable, LazyCharts, NOTHING } from '../../parts/lazy-charts.tsx';
import { slotPath } from './slot.ts';

export function ChartPanel({ overview: { series } }: { overview: Overview }) {
  const byTime = new Map(series.points.map((point) => [point.at, point]));
  return (
    <section aria-label="Over time" className="border-b border-line px-4 pt-5 pb-4 @xl:px-6">
      <LazyCharts name="charts" load={() => import('./charts.tsx')} draw={({ Charts }) => <Charts series={series} />}>
        <ChartTable
          hrefOf={(at) => slotPath(byTime.get(at)!, series.step_ms)}
          caption={`Texts and time to answer, every ${duration(series.step_ms)}`}
          heads={['In', 'Out', 'Fell back', 'Not delivered', 'p50', 'p95']}
          rows={series.points.map(({ at, texts_in, texts_out, fell_back, failed, p50_ms, p95_ms }) => ({
            at,
            cells: [
              texts_in,
              texts_out,
              fell_back,
              failed,
              ...[p50_ms, p95_ms].map((ms) => (ms === null ? NOTHING : duration(ms))),
            ],
          }))}
        />
      </LazyCharts>
    </section>
  );
}
