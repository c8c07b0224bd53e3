// "What should go wrong?": each trouble is a switch that stands until it has happened.
import { ChevronRight, X } from 'lucide-react';
import { Button } from '../../parts/button.tsx';
import { useFailure } from '../../parts/failure.ts';
import { PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { type FaultDesk, otherTroubles, TROUBLE_GROUPS, type Trouble } from './faults.ts';

export function FaultList({ desk }: { desk: FaultDesk }) {
  const { query, faults } = desk;
  const failure = useFailure(query);
  if (failure) return <PanelError error={failure} retry={() => query.refetch()} />;
  if (!query.data) return <PanelLoading what="what can go wrong" className="h-40" />;
  return (
    <>
      {query.error && <StaleNote error={query.error} retry={() => query.refetch()} />}
      <div className="flex flex-col gap-4 p-2 pb-4">
        {TROUBLE_GROUPS.map(({ title, troubles }) => (
          <section key={title} aria-label={title}>
            <h3 className="px-2 pb-1 text-small text-ink-3">{title}</h3>
            <Switches troubles={troubles} desk={desk} />
          </section>
        ))}
        <details className="group/more">
          <summary className="flex list-none items-center gap-1 rounded-md px-2 py-1 text-ink-2 hover:bg-hover hover:text-ink">
            <ChevronRight size={13} className="transition-transform group-open/more:rotate-90" aria-hidden />
            More, by the names of the simulator
          </summary>
          <div className="pt-1">
            <Switches troubles={otherTroubles(faults)} desk={desk} />
          </div>
        </details>
      </div>
    </>
  );
}

function Switches({ troubles, desk }: { troubles: readonly Trouble[]; desk: FaultDesk }) {
  return (
    <ul>
      {troubles.map((trouble) => (
        <li key={trouble.label}>
          <Switch trouble={trouble} desk={desk} />
        </li>
      ))}
    </ul>
  );
}

function Switch({ trouble, desk }: { trouble: Trouble; desk: FaultDesk }) {
  const isOn = desk.isOn(trouble);
  return (
    <button
      type="button"
      role="switch"
      aria-checked={isOn}
      onClick={() => void (isOn ? desk.takeBack(trouble.fault) : desk.arm(trouble))}
      className={`flex w-full items-start gap-2.5 rounded-md px-2 py-1.5 text-left ${isOn ? 'bg-warn-soft' : 'hover:bg-hover'}`}
    >
      <span className="min-w-0 flex-1">
        <span
          className={`block font-medium ${trouble.label === trouble.fault ? 'font-mono' : ''} ${isOn ? 'text-warn' : 'text-ink'}`}
        >
          {trouble.label}
        </span>
        <span className="block text-small text-ink-3">{trouble.means}</span>
      </span>
      <span
        aria-hidden
        className={`mt-0.5 flex h-4 w-7 shrink-0 items-center rounded-full border p-px transition-colors ${isOn ? 'border-warn bg-warn' : 'border-line-strong bg-sunk'}`}
      >
        <span className={`size-3 rounded-full transition-transform ${isOn ? 'translate-x-3 bg-panel' : 'bg-ink-3'}`} />
      </span>
    </button>
  );
}

/** What is still to happen, always in sight: a forgotten fault explains the strangest behaviour. */
export function ArmedFaults({ desk }: { desk: FaultDesk }) {
  const { armed } = desk;
  return (
    <div role="status" aria-label="What will go wrong">
      {armed.length > 0 && (
        <div className="animate-appear flex flex-wrap items-center gap-1.5 border-b border-line bg-panel px-3 py-1.5 md:px-4">
          <span className="text-small text-ink-3">Will go wrong:</span>
          {armed.map((fault) => {
            const { label } = desk.troubleOf(fault);
            return (
              <span
                key={fault.name}
                className="flex h-6 items-center rounded-full bg-warn-soft pl-2.5 text-small font-medium text-warn pointer-coarse:h-9"
              >
                {label}
                <span className="figures pl-1.5 font-normal">{howOften(fault.left)}</span>
                <button
                  type="button"
                  aria-label={`Take back: ${label}`}
                  title="Take it back"
                  onClick={() => void desk.takeBack(fault.name)}
                  className="ml-0.5 flex size-6 items-center justify-center rounded-full hover:bg-hover pointer-coarse:size-9"
                >
                  <X size={12} aria-hidden />
                </button>
              </span>
            );
          })}
          {armed.length > 1 && (
            <Button look="quiet" className="h-6 text-small" onClick={() => void desk.takeAllBack()}>
              Take all back
            </Button>
          )}
        </div>
      )}
    </div>
  );
}

function howOften(left: number | null): string {
  if (left === null) return 'now';
  return left === 1 ? 'next time' : `the next ${left} times`;
}
