// Percentiles of the time to answer as a figure. For what is loaded lazily, like plot.tsx.
import { useMemo } from 'react';
import type uPlot from 'uplot';
import { axes, labelEnds } from './chart-drawing.ts';
import { duration } from './duration.ts';
import { Caption, type Look, line, Plot } from './plot.tsx';

const STROKES = {
  p50: { colour: 'accent', width: 1.75 },
  p95: { colour: 'ink-3', width: 1.25, dash: [4, 3] },
  p99: { colour: 'ink-3', width: 1, dash: [1, 3] },
} as const;
type Percentile = keyof typeof STROKES;
type Point<P extends Percentile> = { readonly at: string } & Readonly<Record<`${P}_ms`, number | null>>;

const lookOf =
  (shown: readonly Percentile[]): Look =>
  (colours) => ({
    series: [
      {},
      ...shown.map((name) => {
        const { colour, ...stroke } = STROKES[name];
        return {
          ...line(name, () => colours()[colour]),
          ...('dash' in stroke ? { ...stroke, dash: [...stroke.dash] } : stroke),
        };
      }),
    ],
    scales: { y: { range: (_, __, max) => [0, Math.max(100, (max ?? 0) * 1.15)] } },
    axes: axes(colours, (ms) => (ms === 0 ? '0' : duration(ms))),
    hooks: { draw: [labelEnds(colours, [...shown])] },
  });

const LOOKS = new Map<string, Look>();

/** One look for each choice of percentiles: a chart that gets another one is made anew. */
function keptLook(shown: readonly Percentile[]): Look {
  const key = shown.join();
  const look = LOOKS.get(key) ?? lookOf(shown);
  LOOKS.set(key, look);
  return look;
}

export function TimesChart<P extends Percentile>({
  shown,
  points,
  stepMs,
  hovered,
  onHover,
  onPick,
  level = 2,
}: {
  shown: readonly P[];
  points: readonly Point<P>[];
  stepMs: number;
  /** The place of the point that is pointed at. */
  hovered: number | null;
  onHover: (index: number | null) => void;
  onPick?: (index: number) => void;
  level?: 2 | 3;
}) {
  const data = useMemo<uPlot.AlignedData>(
    () => [
      points.map(({ at }) => Date.parse(at) / 1000),
      ...shown.map((name) => points.map((point) => point[`${name}_ms`])),
    ],
    [points, shown],
  );
  const point = hovered === null ? undefined : points[hovered];
  const times = point && shown.map((name) => [name, point[`${name}_ms`]] as const);
  return (
    <figure>
      <Caption title="Time to answer" level={level} at={point?.at} stepMs={stepMs}>
        {times &&
          (times.some(([, ms]) => ms === null)
            ? 'no answer'
            : times.map(([name, ms]) => `${name} ${duration(ms as number)}`).join(' · '))}
      </Caption>
      <Plot
        look={keptLook(shown)}
        data={data}
        stepSeconds={stepMs / 1000}
        nothing={data[1]!.some((ms) => ms !== null) ? null : 'No answers in this time'}
        onHover={onHover}
        onPick={onPick}
      />
    </figure>
  );
}
