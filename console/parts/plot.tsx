// A chart over time on a canvas, and what stands above it. It comes in a file of its own (import it from what is loaded lazily).
import './valid-language.ts';
import { type ReactNode, useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { type Colours, readColours, watchColours } from './chart-colours.ts';
import { lonely } from './chart-drawing.ts';

export type Look = (colours: () => Colours) => Pick<uPlot.Options, 'series' | 'axes' | 'hooks' | 'scales'>;

const HEIGHT = 190;
/** Room for the words at the ends of the lines. */
const RIGHT = 44;

export function bars(label: string, share: number, fill: () => string): uPlot.Series {
  return { label, fill, width: 0, paths: uPlot.paths.bars!({ size: [share, 28] }), points: { show: false } };
}

export function line(label: string, stroke: () => string): uPlot.Series {
  return { label, stroke, points: { show: true, size: 4, width: 0, fill: stroke, filter: lonely } };
}

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });

/** What holds until it is another value. */
export function stepped(label: string, stroke: () => string): uPlot.Series {
  return { ...line(label, stroke), paths: uPlot.paths.stepped!({ align: 1 }) };
}

export function Caption({
  title,
  at,
  stepMs,
  level = 2,
  otherwise,
  children,
}: {
  title: string;
  /** Of its heading. */
  level?: 2 | 3;
  at: string | undefined;
  stepMs: number;
  /** While nothing is pointed at. */
  otherwise?: ReactNode;
  children: string | undefined;
}) {
  const from = at === undefined ? null : Date.parse(at);
  const Title = level === 2 ? 'h2' : 'h3';
  return (
    <figcaption className="mb-1 flex items-baseline justify-between gap-3">
      <Title className={`whitespace-nowrap ${level === 2 ? 'text-large font-semibold' : 'font-medium'}`}>{title}</Title>
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

/** Charts of one page have one cursor. */
export function Plot({
  look,
  data,
  stepSeconds,
  nothing,
  onHover,
  onPick,
}: {
  look: Look;
  data: uPlot.AlignedData;
  stepSeconds: number;
  /** What is said over it when it has nothing to draw; an empty chart might be one that failed. */
  nothing: string | null;
  onHover: (index: number | null) => void;
  /** What is pointed at is clicked on; whoever has no pointer finds the same in the table. */
  onPick?: ((index: number) => void) | undefined;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ data, stepSeconds, onPick });
  latest.current = { data, stepSeconds, onPick };

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
        cursor: { sync: { key: 'page' }, drag: { x: false, y: false }, y: false, points: { show: false } },
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
    drawn.over.addEventListener('click', () => {
      if (drawn.cursor.idx != null) latest.current.onPick?.(drawn.cursor.idx);
    });
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

  return (
    <div className="relative">
      <div
        ref={frame}
        aria-hidden
        className={`h-[190px] min-w-0 overflow-hidden ${onPick ? '[&_.u-over]:cursor-pointer' : ''}`}
      />
      {nothing !== null && (
        <p className="pointer-events-none absolute inset-0 flex items-center justify-center pb-6 pl-8 text-ink-2">
          <span className="bg-page px-2">{nothing}</span>
        </p>
      )}
    </div>
  );
}
