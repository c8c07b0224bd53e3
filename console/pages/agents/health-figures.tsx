// How an agent is now, in figures.
import type { ReactNode } from 'react';
import type { AgentDetail } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { exactly, shortly } from '../../parts/numbers.ts';
import { Ago } from '../../parts/time.tsx';
import { SESSIONS_TITLE } from './sessions.tsx';

const CIRCUITS: Readonly<Record<AgentDetail['circuit'], { readonly word: string; readonly means: string }>> = {
  closed: { word: 'Closed', means: 'It is called as usual.' },
  open: { word: 'Open', means: 'Five failures in a row: it is called by one trial at a time.' },
  half_open: { word: 'Half open', means: 'A trial is under way: one call finds out whether it is back.' },
};
/** Under this an agent is asked only when nobody better is there. */
const HEALTHY = 70;

export function HealthFigures({ agent }: { agent: AgentDetail }) {
  const circuit = CIRCUITS[agent.circuit];
  const isUsed = agent.last_success_at !== null || agent.last_failure_at !== null;
  const isOff = agent.disabled !== null || agent.status === 'deactivated';
  const most = Math.min(agent.max_concurrent_sessions, agent.trickle ?? agent.max_concurrent_sessions);
  const free = Math.max(0, most - agent.calls_in_progress);
  return (
    <section aria-label="How it is now">
      <ul className="grid grid-cols-2 gap-px border-y border-line bg-line @xl:grid-cols-4 @5xl:grid-cols-8">
        <Figure
          label="Score"
          value={String(agent.health_score)}
          means="0 to 100: the share of calls answered, how fast, and failures in a row. Under 70 it is asked only when nobody better is there."
          isBad={agent.health_score < HEALTHY}
        >
          {agent.health_score < HEALTHY ? 'under 70' : 'of 100'}
        </Figure>
        <Figure
          label="Success"
          value={isUsed ? `${(Math.floor(agent.success_rate * 1000) / 10).toLocaleString('en')} %` : null}
          means="Of its calls, each newest one weighing a tenth"
        >
          {isUsed ? 'of its calls' : 'no call yet'}
        </Figure>
        <TimeToAnswer agent={agent} />
        <Figure
          label="Failures in a row"
          value={exactly(Math.max(agent.consecutive_failures, agent.probe_failures))}
          means="Three disable it, five open its circuit; one answer ends them"
          isBad={agent.consecutive_failures > 0 || agent.probe_failures > 0}
        >
          {agent.consecutive_failures > 0 ? (
            'of calls'
          ) : agent.probe_failures > 0 ? (
            'of probes'
          ) : agent.last_failure_at === null ? (
            'never'
          ) : (
            <>
              last <Ago at={agent.last_failure_at} inSentence />
            </>
          )}
        </Figure>
        <Figure label="Circuit" value={circuit.word} means={circuit.means} isBad={agent.circuit !== 'closed'}>
          {agent.trickle === null ? 'trusted' : `${agent.trickle} at once for now`}
        </Figure>
        <Figure
          label="Calls now"
          value={shortly(agent.calls_in_progress)}
          means={`It takes ${exactly(agent.max_concurrent_sessions)} at once, over all workers; fewer for a while after it was out`}
          isBad={!isOff && free === 0}
        >
          {isOff ? 'it is asked nothing' : `${shortly(free)} of ${shortly(most)} free`}
        </Figure>
        <Figure
          label="Sessions"
          value={shortly(agent.active_sessions)}
          means="Open conversations that it answers; their list"
          href={`#${SESSIONS_TITLE}`}
        >
          {agent.reported_sessions === null ? 'open' : `it counts ${shortly(agent.reported_sessions)}`}
        </Figure>
      </ul>
    </section>
  );
}

const CELL = 'flex h-full flex-col px-4 py-3 @xl:px-5 @5xl:px-4 @5xl:[li:first-child>&]:pl-6';

function Figure({
  label,
  value,
  means,
  href,
  isBad = false,
  children,
}: {
  label: string;
  /** Null: there is nothing to say a number about. */
  value: string | null;
  means: string;
  /** Of a place on this page. */
  href?: string;
  isBad?: boolean;
  children: ReactNode;
}) {
  const inside = (
    <>
      <span className="whitespace-nowrap text-ink-2">{label}</span>
      <span className={`figures text-figure font-medium tracking-tight whitespace-nowrap ${isBad ? 'text-warn' : ''}`}>
        {value ?? '–'}
      </span>
      <span className="figures truncate text-small text-ink-3">{children}</span>
    </>
  );
  return (
    <li className="bg-page">
      {href === undefined ? (
        <div className={CELL} title={means}>
          {inside}
        </div>
      ) : (
        <a href={href} title={means} className={`${CELL} -outline-offset-2 hover:bg-hover`}>
          {inside}
        </a>
      )}
    </li>
  );
}

function TimeToAnswer({ agent }: { agent: AgentDetail }) {
  const times = { p50: agent.p50_ms, p95: agent.p95_ms, p99: agent.p99_ms } as const;
  return (
    <li className="col-span-2 bg-page">
      <div className={CELL} title="Over the last quarter of an hour; it takes ten calls to say">
        <span className="text-ink-2">
          Time to answer {agent.p50_ms === null && <span className="text-small text-ink-3">from ten calls on</span>}
        </span>
        <span className="grid grid-cols-3 gap-3">
          {Object.entries(times).map(([name, ms]) => {
            const [number, ...unit] = ms === null ? ['–'] : duration(ms).split(' ');
            return (
              <span
                key={name}
                className="flex flex-col"
                title={ms === null ? undefined : `${exactly(Math.round(ms))} ms`}
              >
                <span
                  className={`figures text-figure font-medium tracking-tight whitespace-nowrap ${name === 'p50' ? '' : 'text-ink-2'}`}
                >
                  {number}
                  <span className="text-base font-normal text-ink-2"> {unit.join(' ')}</span>
                </span>
                <span className="text-small text-ink-3">{name}</span>
              </span>
            );
          })}
        </span>
      </div>
    </li>
  );
}
