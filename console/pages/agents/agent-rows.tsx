// An agent in a list: its state in words, and the few numbers that say how it does.
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Agent } from '../../../src/http/contract.ts';
import { agentLook } from '../../parts/agent-look.ts';
import { duration } from '../../parts/duration.ts';
import { exactly, shortly } from '../../parts/numbers.ts';
import { StateLabel } from '../../parts/state-label.tsx';
import { Ago } from '../../parts/time.tsx';
import { PROTOCOLS } from './protocols.ts';

const HEAD = 'pb-1.5 pr-5 font-normal whitespace-nowrap';
const NUMBER = `${HEAD} text-right`;
const CELL = 'py-2 pr-5 text-right align-top figures whitespace-nowrap';

export function AgentTable({ agents }: { agents: readonly Agent[] }) {
  return (
    <table className="hidden w-full @2xl:table">
      <thead className="border-b border-line text-small text-ink-3">
        <tr>
          <th scope="col" className={`${HEAD} text-left`}>
            State
          </th>
          <th scope="col" className={`${HEAD} text-left`}>
            Agent
          </th>
          <th scope="col" className={NUMBER} title="0 to 100; under 70 it is asked only when nobody better is there">
            Score
          </th>
          <th scope="col" className={NUMBER} title="Calls under way, and the most that it takes at once">
            Calls
          </th>
          <th
            scope="col"
            className={NUMBER}
            title="Half of its answers took no longer; over the last quarter of an hour"
          >
            p50
          </th>
          <th scope="col" className={`${NUMBER} @max-4xl:pr-0!`} title="Nineteen of twenty answers took no longer">
            p95
          </th>
          <th scope="col" className={`${NUMBER} hidden @4xl:table-cell`}>
            Last answer
          </th>
          <th scope="col" className={`${NUMBER} hidden @4xl:table-cell @max-5xl:pr-0!`}>
            Last failure
          </th>
          <th scope="col" className={`${NUMBER} hidden pr-0! @5xl:table-cell`}>
            Heartbeat
          </th>
        </tr>
      </thead>
      <tbody>
        {agents.map((agent) => (
          <Row key={agent.id} agent={agent} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ agent }: { agent: Agent }) {
  const why = reasonOf(agent);
  return (
    <tr className="border-b border-line last:border-b-0 hover:bg-hover has-focus-visible:bg-selected">
      <td className="w-32 py-2 pr-5 align-top">
        <StateLabel look={agentLook(agent)} />
      </td>
      <th scope="row" className="w-2/5 max-w-0 min-w-40 py-2 pr-5 text-left align-top font-normal">
        <AgentLink agent={agent} className="block truncate" />
        <span className="block truncate text-small text-ink-3" title={why ?? undefined}>
          {PROTOCOLS[agent.protocol].label} · {agent.type}
          {why !== null && <span className="text-ink-2"> · {why}</span>}
        </span>
      </th>
      <td className={CELL}>
        <Score agent={agent} />
      </td>
      <td className={CELL}>
        <Calls agent={agent} />
      </td>
      <td className={CELL}>{ms(agent.p50_ms)}</td>
      <td className={`${CELL} @max-4xl:pr-0!`}>{ms(agent.p95_ms)}</td>
      <td className={`${CELL} hidden @4xl:table-cell`}>{when(agent.last_success_at)}</td>
      <td
        className={`${CELL} hidden @4xl:table-cell @max-5xl:pr-0! ${agent.consecutive_failures > 0 ? 'text-bad' : ''}`}
      >
        {when(agent.last_failure_at)}
        {agent.consecutive_failures > 0 && (
          <span className="block text-small">{agent.consecutive_failures} in a row</span>
        )}
      </td>
      <td className={`${CELL} hidden pr-0! @5xl:table-cell`}>{when(agent.last_heartbeat_at)}</td>
    </tr>
  );
}

export function AgentCards({ agents }: { agents: readonly Agent[] }) {
  return (
    <ul aria-label="Agents" className="border-t border-line @2xl:hidden">
      {agents.map((agent) => {
        const why = reasonOf(agent);
        return (
          <li key={agent.id} className="border-b border-line px-4 py-3 has-focus-visible:bg-selected @xl:px-0">
            <div className="flex items-baseline justify-between gap-3">
              <AgentLink agent={agent} className="min-w-0 truncate text-large" />
              <StateLabel look={agentLook(agent)} className="font-medium" />
            </div>
            <p className="truncate text-small text-ink-3">
              {PROTOCOLS[agent.protocol].label} · {agent.type}
            </p>
            {why !== null && <p className="mt-0.5 text-small text-ink-2">{why}</p>}
            <dl className="mt-2 grid grid-cols-4 gap-3">
              <Fact label="Score">{agent.health_score}</Fact>
              <Fact label="Calls">
                <Calls agent={agent} />
              </Fact>
              <Fact label="p95">{ms(agent.p95_ms)}</Fact>
              <Fact label="Last answer">{when(agent.last_success_at)}</Fact>
            </dl>
          </li>
        );
      })}
    </ul>
  );
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-small text-ink-3">{label}</dt>
      <dd className="figures truncate">{children}</dd>
    </div>
  );
}

function AgentLink({ agent, className }: { agent: Agent; className: string }) {
  return (
    <Link
      href={`/agents/${agent.id}`}
      data-agent
      title={agent.name}
      className={`rounded-sm font-medium underline-offset-2 hover:underline ${className}`}
    >
      {agent.name}
    </Link>
  );
}

/** The number, and how much of a whole it is. */
function Score({ agent: { health_score: score } }: { agent: Agent }) {
  const tone = score < 70 ? 'bg-warn' : 'bg-good';
  return (
    <span className="inline-flex items-center gap-2 align-top">
      <span aria-hidden className="hidden h-1 w-10 overflow-hidden rounded-full bg-line @4xl:block">
        <span className={`block h-full ${tone}`} style={{ width: `${score}%` }} />
      </span>
      <span className="min-w-6">{score}</span>
    </span>
  );
}

function Calls({ agent }: { agent: Agent }) {
  const { calls_in_progress: calls, max_concurrent_sessions: most } = agent;
  const isFull = calls >= most;
  return (
    <span title={`${exactly(calls)} calls under way; it takes ${exactly(most)} at once`}>
      <span className={isFull ? 'font-medium text-warn' : ''}>{shortly(calls)}</span>
      <span className="text-ink-3"> / {shortly(most)}</span>
    </span>
  );
}

/** Why it is as it is, in the words of who said it. */
function reasonOf({ disabled, draining, status }: Agent): string | null {
  if (status === 'deactivated') return null;
  if (disabled) return `${disabled.reason} (${disabled.by})`;
  if (!draining) return null;
  const by = draining.by === 'agent' ? 'its own word' : draining.by;
  return draining.reason === null ? `draining: ${by}` : `${draining.reason} (${by})`;
}

function ms(value: number | null): ReactNode {
  return value === null ? <Nothing /> : duration(value);
}

function when(at: string | null): ReactNode {
  return at === null ? <Nothing /> : <Ago at={at} />;
}

function Nothing() {
  return <span className="text-ink-3">–</span>;
}
