// Charts whose drawing library comes in a file of its own; what they draw is there as a table too.
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { codeQuery } from './lazy-code.ts';
import { PanelError, PanelLoading } from './panel-states.tsx';
import { ClockTime } from './time.tsx';

/** Loads `load`, once under `name`, and draws with what it exports; `children` is the table. */
export function LazyCharts<Code>({
  name,
  load,
  draw,
  children,
}: {
  name: string;
  load: () => Promise<Code>;
  draw: (code: Code) => ReactNode;
  children: ReactNode;
}) {
  const code = useQuery(codeQuery(name, load));
  return (
    <>
      {code.data ? (
        draw(code.data)
      ) : code.error ? (
        <PanelError
          className="h-56"
          error={new Error('The charts could not be loaded.')}
          retry={() => location.reload()}
        />
      ) : (
        <PanelLoading className="h-56" what="the charts" />
      )}
      <details className="mt-2">
        <summary className="w-fit text-small text-ink-3 hover:text-ink">The same as a table</summary>
        {children}
      </details>
    </>
  );
}

type Cell = number | string;

/** Rows are the newest last, as charts have them, and stand the newest first. What is nothing stands back. */
export function ChartTable({
  caption,
  heads,
  rows,
  hrefOf,
}: {
  caption: string;
  /** Of the columns after the first, which is when a row begins. */
  heads: readonly string[];
  rows: readonly { readonly at: string; readonly cells: readonly Cell[] }[];
  /** Where the list behind a row is. */
  hrefOf?: (at: string) => string;
}) {
  return (
    <section
      className="scroll-y mt-2 max-h-72 rounded-md border border-line"
      aria-label="Numbers of the charts"
      tabIndex={0}
    >
      <table className="figures w-full text-right">
        <caption className="sr-only">{caption}, the newest first</caption>
        <thead className="sticky top-0 bg-sunk text-small text-ink-3">
          <tr>
            {['From', ...heads].map((head) => (
              <th key={head} scope="col" className="px-3 py-1.5 font-normal first:text-left">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.toReversed().map(({ at, cells }) => (
            <tr key={at} className="border-t border-line">
              <th scope="row" className="px-3 py-1 text-left font-normal whitespace-nowrap">
                {hrefOf ? (
                  <Link href={hrefOf(at)} className="underline decoration-line-strong underline-offset-2">
                    <ClockTime at={at} />
                  </Link>
                ) : (
                  <ClockTime at={at} />
                )}
              </th>
              {cells.map((cell, column) => (
                <td
                  key={heads[column]}
                  className={`px-3 py-1 whitespace-nowrap ${cell === 0 || cell === NOTHING ? 'text-ink-3' : ''}`}
                >
                  {cell.toLocaleString('en')}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Not known, or not there. */
export const NOTHING = '–';
