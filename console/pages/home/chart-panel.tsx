// What the figures were over time. The drawing library comes in a file of its own, and what it draws is there as a table too.
import { useQuery } from '@tanstack/react-query';
import type { Overview } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { PanelError, PanelLoading } from '../../parts/panel-states.tsx';
import { ClockTime } from '../../parts/time.tsx';

type Point = Overview['series']['points'][number];

export function ChartPanel({ overview }: { overview: Overview }) {
  const code = useQuery({
    queryKey: ['charts'],
    queryFn: () => import('./charts.tsx'),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const { points, step_ms } = overview.series;
  return (
    <section aria-label="Over time" className="border-b border-line px-4 pt-5 pb-4 @xl:px-6">
      {code.data ? (
        <code.data.Charts series={overview.series} />
      ) : code.error ? (
        <PanelError
          className="h-56"
          error={new Error('The charts could not be loaded.')}
          retry={() => code.refetch()}
        />
      ) : (
        <PanelLoading className="h-56" what="the charts" />
      )}
      <details className="mt-2">
        <summary className="w-fit text-small text-ink-3 hover:text-ink">The same as a table</summary>
        <Table points={points} stepMs={step_ms} />
      </details>
    </section>
  );
}

const HEADS = ['From', 'In', 'Out', 'Fell back', 'Not delivered', 'p50', 'p95'] as const;

function Table({ points, stepMs }: { points: readonly Point[]; stepMs: number }) {
  return (
    <section
      className="scroll-y mt-2 max-h-72 rounded-md border border-line"
      aria-label="Numbers of the charts"
      tabIndex={0}
    >
      <table className="figures w-full text-right">
        <caption className="sr-only">Texts and time to answer, every {duration(stepMs)}, the newest first</caption>
        <thead className="sticky top-0 bg-sunk text-small text-ink-3">
          <tr>
            {HEADS.map((head) => (
              <th key={head} scope="col" className="px-3 py-1.5 font-normal first:text-left">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {points.toReversed().map((point) => (
            <tr key={point.at} className="border-t border-line">
              <th scope="row" className="px-3 py-1 text-left font-normal whitespace-nowrap">
                <ClockTime at={point.at} />
              </th>
              {[point.texts_in, point.texts_out, point.fell_back, point.failed].map((n, column) => (
                <td key={HEADS[column + 1]} className={`px-3 py-1 ${n === 0 ? 'text-ink-3' : ''}`}>
                  {n.toLocaleString('en')}
                </td>
              ))}
              {[point.p50_ms, point.p95_ms].map((ms, column) => (
                <td
                  key={HEADS[column + 5]}
                  className={`px-3 py-1 whitespace-nowrap ${ms === null ? 'text-ink-3' : ''}`}
                >
                  {ms === null ? '–' : duration(ms)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
