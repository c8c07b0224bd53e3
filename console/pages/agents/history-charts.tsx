// The score with the failures that lowered it, and the time to answer, over the same minutes: one cursor for both.
import { X } from 'lucide-react';
import { useMemo, useState } from 'react';
import type uPlot from 'uplot';
import type { AgentHealth } from '../../../src/http/contract.ts';
import { axes, labelEnds, markTrouble } from '../../parts/chart-drawing.ts';
import { Caption, type Look, line, Plot, stepped } from '../../parts/plot.tsx';
import { TimesChart } from '../../parts/times-chart.tsx';

/** Under it others are asked first. */
const HEALTHY = 70;

const SCORE: Look = (colours) => ({
  series: [
    {},
    { ...stepped('score', () => colours().accent), width: 1.75 },
    { ...line('70', () => colours()['ink-3']), width: 1, dash: [2, 4] },
    { show: false },
  ],
  scales: { y: { range: [0, 112] } },
  axes: axes(colours, (score) => (score % 25 === 0 && score <= 100 ? String(score) : '')),
  hooks: { draw: [labelEnds(colours, ['score', '70']), markTrouble(colours, { index: 3, over: [1], by: 0.5 })] },
});

const PERCENTILES = ['p50', 'p95', 'p99'] as const;

export function HistoryCharts({ health: { points, step_ms } }: { health: AgentHealth }) {
  const [hovered, setHovered] = useState<number | null>(null);
  const score = useMemo<uPlot.AlignedData>(
    () => [
      points.map((point) => Date.parse(point.at) / 1000),
      points.map(({ health_score }) => health_score),
      points.map(() => HEALTHY),
      points.map(({ failures }) => failures),
    ],
    [points],
  );
  const point = hovered === null ? undefined : points[hovered];
  const calls = points.reduce((sum, each) => sum + each.calls, 0);
  const failures = points.reduce((sum, each) => sum + each.failures, 0);
  return (
    <div className="grid grid-cols-1 gap-x-8 gap-y-5 @4xl:grid-cols-2">
      <figure>
        <Caption
          title="Score"
          level={3}
          at={point?.at}
          stepMs={step_ms}
          otherwise={
            calls === 0 ? (
              'no calls'
            ) : failures === 0 ? (
              `${calls.toLocaleString('en')} ${calls === 1 ? 'call' : 'calls'}, none failed`
            ) : (
              <>
                <X size={12} strokeWidth={2.5} className="inline text-bad" aria-hidden />{' '}
                {failures.toLocaleString('en')} of {calls.toLocaleString('en')} calls failed
              </>
            )
          }
        >
          {point &&
            [
              point.health_score === null ? 'score not known' : `score ${point.health_score}`,
              `${point.calls} calls`,
              point.failures > 0 && `${point.failures} failed`,
            ]
              .filter(Boolean)
              .join(' · ')}
        </Caption>
        <Plot
          look={SCORE}
          data={score}
          stepSeconds={step_ms / 1000}
          nothing={points.some(({ health_score }) => health_score !== null) ? null : 'Not known in this time'}
          onHover={setHovered}
        />
      </figure>
      <TimesChart
        level={3}
        shown={PERCENTILES}
        points={points}
        stepMs={step_ms}
        hovered={hovered}
        onHover={setHovered}
      />
    </div>
  );
}
