// Who answers: how each agent is, the ones in trouble first.
import { CircleCheck, CircleDashed, CircleSlash, TriangleAlert } from 'lucide-react';
import { Link } from 'wouter';
import type { Agent } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { PanelEmpty } from '../../parts/panel-states.tsx';
import { Ago, utc } from '../../parts/time.tsx';
import { exactly, shortly } from './numbers.ts';

const LOOKS = {
  registered: { word: 'New', icon: CircleDashed, tone: 'text-ink-2', means: 'Registered; not asked yet.' },
  active: { word: 'Active', icon: CircleCheck, tone: 'text-good', means: 'Texts are routed to it.' },
  degraded: {
    word: 'Degraded',
    icon: TriangleAlert,
    tone: 'text-warn',
    means: 'It fails or is slow; others are asked first.',
  },
  disabled: {
    word: 'Down',
    icon: CircleSlash,
    tone: 'text-bad',
    means: 'It failed three checks; it is asked again when it answers one.',
  },
  deactivated: { word: 'Removed', icon: CircleSlash, tone: 'text-ink-3', means: 'Its owner took it away.' },
} as const;
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
      <h2 id="agents-title" className="text-large font-semibold">
        Agents
      </h2>
      {sorted.length === 0 ? (
        <PanelEmpty title="No agent is registered">
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
              <th scope="col" className={`${NUMBER} hidden @2xl:table-cell`}>
                Sessions
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
  const { word, icon: Icon, tone, means } = LOOKS[agent.status];
  const isUsed = agent.last_success_at !== null || agent.last_failure_at !== null;
  return (
    <tr className="border-b border-line last:border-b-0 hover:bg-hover">
      <th scope="row" className="max-w-0 min-w-32 py-2 pr-4 text-left font-medium @2xl:w-2/5">
        <Link
          href={`/conversations?agent=${agent.id}`}
          title={`The conversations of ${agent.name}`}
          className="block truncate underline-offset-2 hover:underline"
        >
          {agent.name}
        </Link>
      </th>
      <td className="py-2 pr-4">
        <span title={means} className={`flex items-center gap-1.5 whitespace-nowrap ${tone}`}>
          <Icon size={14} strokeWidth={2} aria-hidden />
          {word}
        </span>
      </td>
      <td className={CELL}>{agent.health_score}</td>
      <td
        className={`${CELL} hidden @lg:table-cell`}
        title={isUsed ? `${exactly(Math.round(agent.response_ms))} ms, smoothed` : undefined}
      >
        {isUsed ? duration(agent.response_ms) : '–'}
      </td>
      <td className={`${CELL} hidden @2xl:table-cell`}>
        {shortly(agent.active_sessions)} <span className="text-ink-3">of {shortly(agent.max_concurrent_sessions)}</span>
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
