// Who answers: how each agent is, the ones in trouble first.
import { Link } from 'wouter';
import type { Agent } from '../../../src/http/contract.ts';
import { agentLook } from '../../parts/agent-look.ts';
import { duration } from '../../parts/duration.ts';
import { exactly, shortly } from '../../parts/numbers.ts';
import { PanelEmpty } from '../../parts/panel-states.tsx';
import { StateLabel } from '../../parts/state-label.tsx';
import { Ago, utc } from '../../parts/time.tsx';

const WORST_FIRST: readonly Agent['status'][] = ['disabled', 'degraded', 'registered', 'active', 'deactivated'];

const CELL = 'py-2 pr-4 text-right figures whitespace-nowrap';
const HEAD = 'pb-1.5 pr-4 font-normal whitespace-nowrap';
const NUMBER = `${HEAD} text-right`;

export function Agents({ agents }: { agents: readonly Agent[] }) {
  const sorted = agents.toSorted(
    (a, b) => WORST_FIRST.indexOf(a.status) - WORST_FIRST.indexOf(b.status) || a.name.localeCompare(b.name),
  );
  return (
    <section id="agents" aria-labelledby="agents-title" className="px-4 pt-6 pb-10 @xl:px-6">
      <div className="flex items-baseline justify-between gap-3">
        <h2 id="agents-title" className="text-large font-semibold">
          Agents
        </h2>
        <Link href="/agents" className="text-accent underline decoration-1 underline-offset-2">
          All agents
        </Link>
      </div>
      {sorted.length === 0 ? (
        <PanelEmpty
          title="No agent is registered"
          action={
            <Link href="/agents" className="text-accent underline underline-offset-2">
              Bring an agent
            </Link>
          }
        >
          Until there is one, people who text are told that nobody can answer.
        </PanelEmpty>
      ) : (
        <table className="mt-2 w-full">
          <thead className="border-b border-line text-small text-ink-3">
            <tr>
              <th scope="col" className={`${HEAD} text-left`}>
                Name
              </th>
              <th scope="col" className={`${HEAD} text-left`}>
                Status
              </th>
              <th
                scope="col"
                className={NUMBER}
                title="0 to 100; under 70 it is asked only when nobody better is there"
              >
                Health
              </th>
              <th scope="col" className={`${NUMBER} hidden @lg:table-cell`}>
                Answers in
              </th>
              <th
                scope="col"
                className={`${NUMBER} hidden @2xl:table-cell`}
                title="Calls under way, and the most that it takes at once"
              >
                Calls
              </th>
              <th scope="col" className={`${NUMBER} hidden @3xl:table-cell`}>
                Failures in a row
              </th>
              <th scope="col" className={`${NUMBER} hidden pr-0! @2xl:table-cell`}>
                Last answer
              </th>
            </tr>
          </thead>
          <tbody>
            {sorted.map((agent) => (
              <Row key={agent.id} agent={agent} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Row({ agent }: { agent: Agent }) {
  // A refusal is quick too: only answers say how fast it is.
  const hasAnswered = agent.last_success_at !== null;
  return (
    <tr className="border-b border-line last:border-b-0 hover:bg-hover">
      <th scope="row" className="max-w-0 min-w-32 py-2 pr-4 text-left font-medium @2xl:w-2/5">
        <Link href={`/agents/${agent.id}`} className="block truncate underline-offset-2 hover:underline">
          {agent.name}
        </Link>
      </th>
      <td className="py-2 pr-4">
        <StateLabel look={agentLook(agent)} />
      </td>
      <td className={CELL}>{agent.health_score}</td>
      <td
        className={`${CELL} hidden @lg:table-cell`}
        title={hasAnswered ? `${exactly(Math.round(agent.response_ms))} ms, smoothed` : undefined}
      >
        {hasAnswered ? duration(agent.response_ms) : '–'}
      </td>
      <td className={`${CELL} hidden @2xl:table-cell`}>
        {shortly(agent.calls_in_progress)}{' '}
        <span className="text-ink-3">of {shortly(agent.max_concurrent_sessions)}</span>
      </td>
      <td className={`${CELL} hidden @3xl:table-cell ${agent.consecutive_failures > 0 ? 'font-medium text-bad' : ''}`}>
        {agent.consecutive_failures}
      </td>
      <td
        className={`${CELL} hidden pr-0! @2xl:table-cell`}
        title={agent.last_success_at === null ? undefined : utc(agent.last_success_at)}
      >
        {agent.last_success_at === null ? '–' : <Ago at={agent.last_success_at} />}
      </td>
    </tr>
  );
}
