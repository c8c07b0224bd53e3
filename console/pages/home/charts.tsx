// Texts in and out, and the time to answer, over the same minutes: one cursor for both. What a line is stands at its end, and
// bars differ in width, so that nobody has to tell colours apart.
import { X } from 'lucide-react';
import { useMemo, useState } from 'react';
import type uPlot from 'uplot';
import { useLocation } from 'wouter';
import type { Overview } from '../../../src/http/contract.ts';
import { axes, markTrouble } from '../../parts/chart-drawing.ts';
import { duration } from '../../parts/duration.ts';
import { bars, Caption, type Look, Plot } from '../../parts/plot.tsx';
import { TimesChart } from '../../parts/times-chart.tsx';
import { slotPath } from './slot.ts';

type Series = Overview['series'];

/** Wide and pale what came, narrow and full within it what went out: what stays pale was not answered. */
const TEXTS: Look = (colours) => ({
  series: [
    {},
    bars('in', 0.78, () => colours()['accent-pale']),
    bars('out', 0.36, () => colours().accent),
    { show: false },
  ],
  scales: { y: { range: (_, __, max) => [0, Math.max(4, (max ?? 0) * 1.15)] } },
  axes: axes(colours, (n) => (Number.isInteger(n) ? n.toLocaleString('en') : '')),
  hooks: { draw: [markTrouble(colours, { index: 3, over: [1, 2] })] },
});

const PERCENTILES = ['p50', 'p95'] as const;

export function Charts({ series: { points, step_ms } }: { series: Series }) {
  const [hovered, setHovered] = useState<number | null>(null);
  const [, navigate] = useLocation();
  const open = (index: number) => {
    const point = points[index];
    if (point) navigate(slotPath(point, step_ms));
  };
  const texts = useMemo<uPlot.AlignedData>(
    () => [
      points.map((point) => Date.parse(point.at) / 1000),
      points.map(({ texts_in }) => texts_in),
      points.map(({ texts_out }) => texts_out),
      points.map(({ fell_back, failed }) => fell_back + failed),
    ],
    [points],
  );
  const point = hovered === null ? undefined : points[hovered];
  const hasTrouble = points.some(({ fell_back, failed }) => fell_back + failed > 0);
  return (
    <div className="grid grid-cols-1 gap-x-8 gap-y-5 @4xl:grid-cols-2">
      <figure>
        <Caption
          title={step_ms === 60_000 ? 'Texts a minute' : `Texts in ${duration(step_ms)}`}
          at={point?.at}
          stepMs={step_ms}
          otherwise={<Key hasTrouble={hasTrouble} />}
        >
          {point &&
            [
              `in ${point.texts_in}`,
              `out ${point.texts_out}`,
              point.fell_back > 0 && `fell back ${point.fell_back}`,
              point.failed > 0 && `not delivered ${point.failed}`,
            ]
              .filter(Boolean)
              .join(' · ')}
        </Caption>
        <Plot
          look={TEXTS}
          data={texts}
          stepSeconds={step_ms / 1000}
          nothing={points.some(({ texts_in, texts_out }) => texts_in + texts_out > 0) ? null : 'No texts in this time'}
          onHover={setHovered}
          onPick={open}
        />
      </figure>
      <TimesChart
        shown={PERCENTILES}
        points={points}
        stepMs={step_ms}
        hovered={hovered}
        onHover={setHovered}
        onPick={open}
      />
    </div>
  );
}

/** What a wide bar, a narrow one and a cross mean. */
function Key({ hasTrouble }: { hasTrouble: boolean }) {
  return (
    <span className="inline-flex items-baseline gap-1.5">
      <span aria-hidden className="inline-block h-2.5 w-3 bg-accent-pale" /> in
      <span aria-hidden className="ml-1.5 inline-block h-2.5 w-1.5 bg-accent" /> out
      {hasTrouble && (
        <span className="ml-1.5" title="Nobody could answer, or the answer was not delivered">
          <X size={12} strokeWidth={2.5} className="inline text-bad" aria-hidden /> went wrong
        </span>
      )}
    </span>
  );
}
