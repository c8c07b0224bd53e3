// How an agent was. The drawing library comes in a file of its own, and what it draws is there as a table too.
import { useQuery } from '@tanstack/react-query';
import type { AgentHealth } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { PanelError, PanelLoading } from '../../parts/panel-states.tsx';
import { ClockTime } from '../../parts/time.tsx';

export function HistoryPanel({ health }: { health: AgentHealth }) {
  const code = useQuery({
    queryKey: ['agent charts'],
    queryFn: () => import('./history-charts.tsx'),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <>
      {code.data ? (
        <code.data.HistoryCharts health={health} />
      ) : code.error ? (
        <PanelError
          className="h-56"
          error={new Error('The charts could not be loaded.')}
          // A browser remembers that a script could not be loaded, and does not try again on the same page.
          retry={() => location.reload()}
        />
      ) : (
        <PanelLoading className="h-56" what="the charts" />
      )}
      <details className="mt-2">
        <summary className="w-fit text-small text-ink-3 hover:text-ink">The same as a table</summary>
        <Table health={health} />
      </details>
    </>
  );
}

const HEADS = ['From', 'Score', 'Calls', 'Failed', 'p50', 'p95', 'p99'] as const;

function Table({ health: { points, step_ms } }: { health: AgentHealth }) {
  return (
    <section
      className="scroll-y mt-2 max-h-72 rounded-md border border-line"
      aria-label="Numbers of the charts"
      tabIndex={0}
    >
      <table className="figures w-full text-right">
        <caption className="sr-only">
          Score, calls and time to answer, every {duration(step_ms)}, the newest first
        </caption>
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
              {[
                point.health_score ?? '–',
                point.calls,
                point.failures,
                ...[point.p50_ms, point.p95_ms, point.p99_ms].map((ms) => (ms === null ? '–' : duration(ms))),
              ].map((value, column) => (
                <td
                  key={HEADS[column + 1]}
                  className={`px-3 py-1 whitespace-nowrap ${value === 0 || value === '–' ? 'text-ink-3' : ''}`}
                >
                  {value.toLocaleString('en')}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
