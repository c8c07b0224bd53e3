// What the two charts draw alike, on a canvas: axes, the words at the ends of the lines, marks where something went wrong.
import type uPlot from 'uplot';
import type { Colours } from './chart-colours.ts';

type Now = () => Colours;
const FONT = '12px "Geist Variable", system-ui, sans-serif';
const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const LINE_HEIGHT = 14;

export function axes(colours: Now, say: (value: number) => string): uPlot.Axis[] {
  const shared: uPlot.Axis = {
    font: FONT,
    stroke: () => colours()['ink-3'],
    ticks: { show: false },
    grid: { stroke: () => colours().line, width: 1 },
  };
  return [
    {
      ...shared,
      grid: { show: false },
      size: 26,
      gap: 8,
      space: 72,
      values: (_, at) => at.map((s) => clock.format(s * 1000)),
    },
    { ...shared, size: 52, gap: 8, space: 34, values: (_, at) => at.map(say) },
  ];
}

/** Points that stand between two gaps: no line reaches them. */
export function lonely(plot: uPlot, index: number): number[] {
  const values = Array.from(plot.data[index]!);
  return values.flatMap((value, n) => (value != null && values[n - 1] == null && values[n + 1] == null ? [n] : []));
}

/** Writes the name of each line beside its last point, one under the other where they would overlap. */
export function labelEnds(colours: Now, names: readonly string[]): (plot: uPlot) => void {
  return (plot) => {
    const { ctx } = plot;
    const scale = devicePixelRatio;
    const ends = names.flatMap((name, n) => {
      const index = plot.data[n + 1]!.findLastIndex((value) => value != null);
      if (index < 0) return [];
      return [{ name, y: plot.valToPos(plot.data[n + 1]![index]!, 'y', true) / scale }];
    });
    ends.sort((a, b) => a.y - b.y);
    const lowest = (plot.bbox.top + plot.bbox.height) / scale;
    for (const [n, end] of ends.entries()) {
      const above = ends[n - 1];
      if (above) end.y = Math.max(end.y, above.y + LINE_HEIGHT);
    }
    const over = (ends.at(-1)?.y ?? 0) + LINE_HEIGHT / 2 - lowest;
    ctx.save();
    ctx.scale(scale, scale);
    ctx.font = FONT;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    ctx.fillStyle = colours()['ink-2'];
    const x = (plot.bbox.left + plot.bbox.width) / scale + 6;
    for (const { name, y } of ends) ctx.fillText(name, x, y - Math.max(0, over));
    ctx.restore();
  };
}

/**
 * A cross over each bucket in which somebody got no answer or an answer did not arrive: `index` counts them, `over` are the series
 * that it stands above. `by` moves it along, in buckets: 0.5 where a bucket is drawn from its beginning.
 */
export function markTrouble(
  colours: Now,
  { index, over, by = 0 }: { readonly index: number; readonly over: readonly number[]; readonly by?: number },
): (plot: uPlot) => void {
  const ARM = 3.5;
  return (plot) => {
    const { ctx } = plot;
    const scale = devicePixelRatio;
    const at = plot.data[0];
    const bucket = at.length > 1 ? at[1]! - at[0]! : 0;
    ctx.save();
    ctx.scale(scale, scale);
    ctx.strokeStyle = colours().bad;
    ctx.lineWidth = 1.75;
    ctx.lineCap = 'round';
    for (const [n, count] of plot.data[index]!.entries()) {
      if (!count) continue;
      const tallest = Math.max(...over.map((series) => plot.data[series]![n] ?? 0));
      const x = plot.valToPos(at[n]! + by * bucket, 'x', true) / scale;
      const y = Math.max(plot.bbox.top / scale + ARM, plot.valToPos(tallest, 'y', true) / scale - 9);
      ctx.beginPath();
      ctx.moveTo(x - ARM, y - ARM);
      ctx.lineTo(x + ARM, y + ARM);
      ctx.moveTo(x + ARM, y - ARM);
      ctx.lineTo(x - ARM, y + ARM);
      ctx.stroke();
    }
    ctx.restore();
  };
}
