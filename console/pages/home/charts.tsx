// Texts in and out, and the time to answer, over the same minutes: one cursor for both. What a line is stands at its end, so
// that nobody has to tell colours apart.
import { X } from 'lucide-react';
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Overview } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { readColours, watchColours } from './chart-colours.ts';
import { axes, labelEnds, lonely, markTrouble } from './chart-drawing.ts';

type Series = Overview['series'];
type Look = (
  colours: () => ReturnType<typeof readColours>,
) => Pick<uPlot.Options, 'series' | 'axes' | 'hooks' | 'scales'>;

const HEIGHT = 190;
/** Room for the words at the ends of the lines. */
const RIGHT = 44;

/** Wide and pale what came, narrow and full within it what went out: what stays pale was not answered. */
const TEXTS: Look = (colours) => ({
  series: [{}, bars('in', 0.78, () => colours().area), bars('out', 0.36, () => colours().accent), { show: false }],
  scales: { y: { range: (_, __, max) => [0, Math.max(4, (max ?? 0) * 1.15)] } },
  axes: axes(colours, (n) => (Number.isInteger(n) ? n.toLocaleString('en') : '')),
  hooks: { draw: [labelEnds(colours, ['in', 'out']), markTrouble(colours, 3)] },
});

const TIMES: Look = (colours) => ({
  series: [
    {},
    { ...line('p50', () => colours().accent), width: 1.75 },
    { ...line('p95', () => colours()['ink-3']), width: 1.25, dash: [4, 3] },
  ],
  scales: { y: { range: (_, __, max) => [0, Math.max(100, (max ?? 0) * 1.15)] } },
  axes: axes(colours, (ms) => (ms === 0 ? '0' : duration(ms))),
  hooks: { draw: [labelEnds(colours, ['p50', 'p95'])] },
});

function bars(label: string, share: number, fill: () => string): uPlot.Series {
  return { label, fill, width: 0, paths: uPlot.paths.bars!({ size: [share, 28] }), points: { show: false } };
}

function line(label: string, stroke: () => string): uPlot.Series {
  return { label, stroke, points: { show: true, size: 4, width: 0, fill: stroke, filter: lonely } };
}

export function Charts({ series: { points, step_ms } }: { series: Series }) {
  const [hovered, setHovered] = useState<number | null>(null);
  const { texts, times } = useMemo(() => {
    const at = points.map((point) => Date.parse(point.at) / 1000);
    return {
      texts: [
        at,
        points.map(({ texts_in }) => texts_in),
        points.map(({ texts_out }) => texts_out),
        points.map(({ fell_back, failed }) => fell_back + failed),
      ],
      times: [at, points.map(({ p50_ms }) => p50_ms), points.map(({ p95_ms }) => p95_ms)],
    } satisfies Record<string, uPlot.AlignedData>;
  }, [points]);
  const point = hovered === null ? undefined : points[hovered];
  const hasTrouble = points.some(({ fell_back, failed }) => fell_back + failed > 0);
  return (
    <div className="grid gap-x-8 gap-y-5 @4xl:grid-cols-2">
      <figure>
        <Caption
          title={step_ms === 60_000 ? 'Texts a minute' : `Texts in ${duration(step_ms)}`}
          at={point?.at}
          stepMs={step_ms}
          otherwise={hasTrouble && <Crosses />}
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
        <Plot look={TEXTS} data={texts} stepSeconds={step_ms / 1000} onHover={setHovered} />
      </figure>
      <figure>
        <Caption title="Time to answer" at={point?.at} stepMs={step_ms}>
          {point &&
            (point.p50_ms === null || point.p95_ms === null
              ? 'no answer'
              : `p50 ${duration(point.p50_ms)} · p95 ${duration(point.p95_ms)}`)}
        </Caption>
        <Plot look={TIMES} data={times} stepSeconds={step_ms / 1000} onHover={setHovered} />
      </figure>
    </div>
  );
}

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });

function Caption({
  title,
  at,
  stepMs,
  otherwise,
  children,
}: {
  title: string;
  at: string | undefined;
  stepMs: number;
  /** While nothing is pointed at. */
  otherwise?: ReactNode;
  children: string | undefined;
}) {
  const from = at === undefined ? null : Date.parse(at);
  return (
    <figcaption className="mb-1 flex items-baseline justify-between gap-3">
      <h2 className="text-large font-semibold whitespace-nowrap">{title}</h2>
      <span className="figures truncate text-small text-ink-2">
        {from === null ? (
          otherwise
        ) : (
          <>
            <span className="text-ink-3">{clock.formatRange(from, from + stepMs)}</span> {children}
          </>
        )}
      </span>
    </figcaption>
  );
}

function Crosses() {
  return (
    <>
      <X size={12} strokeWidth={2.5} className="inline text-bad" aria-hidden /> nobody could answer, or not delivered
    </>
  );
}

function Plot({
  look,
  data,
  stepSeconds,
  onHover,
}: {
  look: Look;
  data: uPlot.AlignedData;
  stepSeconds: number;
  onHover: (index: number | null) => void;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ data, stepSeconds });
  latest.current = { data, stepSeconds };

  useEffect(() => {
    const element = frame.current!;
    let colours = readColours();
    const base = look(() => colours);
    const drawn = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        padding: [10, RIGHT, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: 'home' }, drag: { x: false, y: false }, y: false, points: { show: false } },
        ...base,
        scales: {
          ...base.scales,
          // Half a bucket on either side: points and bars stand in the middle of what they are about.
          x: { range: (_, min, max) => [min - latest.current.stepSeconds / 2, max + latest.current.stepSeconds / 2] },
        },
        hooks: { ...base.hooks, setCursor: [({ cursor }) => onHover(cursor.idx ?? null)] },
      },
      latest.current.data,
      element,
    );
    plot.current = drawn;
    const sized = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: HEIGHT }));
    sized.observe(element);
    const redraw = () => {
      colours = readColours();
      drawn.redraw(false, true);
    };
    const unwatch = watchColours(redraw);
    // The first drawing may come before the typeface.
    void document.fonts.ready.then(() => plot.current === drawn && redraw());
    return () => {
      unwatch();
      sized.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [look, onHover]);

  useEffect(() => plot.current?.setData(data), [data]);

  return <div ref={frame} aria-hidden className="h-[190px] min-w-0 overflow-hidden" />;
}
