// One agent: how it is and was, what it was asked, whom it answers, and what an operator can do with it.
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { ArrowLeft } from 'lucide-react';
import { Link, useSearch } from 'wouter';
import type { AgentDetail, AgentHealth } from '../../../src/http/contract.ts';
import { ApiError, get } from '../../api.ts';
import { agentLook } from '../../parts/agent-look.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { useFailure } from '../../parts/failure.ts';
import { PanelEmpty, PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { StateLabel } from '../../parts/state-label.tsx';
import { Ago } from '../../parts/time.tsx';
import { WindowChoice } from '../../parts/window-choice.tsx';
import { CallList } from './calls.tsx';
import { Controls } from './controls.tsx';
import { Facts } from './facts.tsx';
import { HealthFigures } from './health-figures.tsx';
import { HistoryPanel } from './history-panel.tsx';
import { ProbePanel } from './probe-panel.tsx';
import { PROTOCOLS } from './protocols.ts';
import { SessionList } from './sessions.tsx';
import { useAgent, useReadAgain } from './use-agents.ts';

export function AgentPage({ id }: { id: string }) {
  const agent = useAgent(id);
  const failure = useFailure(agent);
  const retry = () => agent.refetch();
  if (failure) return <Missing error={failure} retry={retry} />;
  if (!agent.data) return <PanelLoading what="the agent" className="h-full" />;
  return (
    <div className="scroll-y @container flex h-full flex-col *:shrink-0">
      {agent.error && <StaleNote error={agent.error} retry={retry} />}
      <Head agent={agent.data} />
      <Standing agent={agent.data} />
      <HealthFigures agent={agent.data} />
      <History id={id} />
      <ProbePanel agent={agent.data} />
      <div className="grid grow @4xl:grid-cols-[3fr_2fr]">
        <CallList agentId={id} />
        <div className="min-w-0 border-line @4xl:border-l">
          <SessionList agentId={id} />
          <Facts agent={agent.data} />
        </div>
      </div>
    </div>
  );
}

export function Missing({ error, retry }: { error: unknown; retry: () => unknown }) {
  const isGone = error instanceof ApiError && error.status === 404;
  if (!isGone) return <PanelError error={error} retry={retry} className="h-full" />;
  return (
    <PanelEmpty
      isPage
      title="There is no such agent"
      className="h-full"
      action={
        <Link href="/agents" className="text-accent underline underline-offset-2">
          All agents
        </Link>
      }
    >
      Its id may be mistyped, or from another installation.
    </PanelEmpty>
  );
}

function Head({ agent }: { agent: AgentDetail }) {
  return (
    <header className="px-4 pt-4 pb-4 @xl:px-6">
      <Link href="/agents" className="inline-flex items-center gap-1 text-ink-2 hover:text-ink">
        <ArrowLeft size={14} aria-hidden /> Agents
      </Link>
      <div className="mt-1 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <div className="flex flex-wrap items-baseline gap-x-3">
            <h1 className="min-w-0 text-figure font-semibold tracking-tight wrap-anywhere">{agent.name}</h1>
            <StateLabel look={agentLook(agent)} className="text-large font-medium" />
          </div>
          <p className="mt-0.5 flex flex-wrap items-center gap-x-2 text-ink-2">
            <span>
              {PROTOCOLS[agent.protocol].label} · {agent.type}
              {agent.version !== null && ` · ${agent.version}`}
            </span>
            <span className="flex min-w-0 items-center gap-0.5 font-mono text-small">
              <span className="truncate">{agent.endpoint_url}</span>
              <CopyButton text={agent.endpoint_url} label="Copy the address" />
            </span>
          </p>
        </div>
        <Controls agent={agent} />
      </div>
    </header>
  );
}

/** Why texts do not go to it as usual, where somebody has said so. */
function Standing({ agent }: { agent: AgentDetail }) {
  const said = standingOf(agent);
  if (said === null) return null;
  const isLeaving = said.word === 'Draining';
  return (
    <p role="status" className={`border-t border-line px-4 py-2 @xl:px-6 ${isLeaving ? 'bg-hand-soft' : 'bg-sunk'}`}>
      <span className={`font-medium ${isLeaving ? 'text-hand' : ''}`}>{said.word}</span>
      {said.by !== null && ` by ${said.by}`}
      {said.reason !== null && <>: “{said.reason}”</>}
      <span className="text-ink-2">
        {said.at !== null && (
          <>
            {' · '}
            <Ago at={said.at} inSentence />
          </>
        )}
        {' · '}
        {said.means}
      </span>
    </p>
  );
}

function standingOf({ status, deactivated_at, deactivated_by, disabled, draining }: AgentDetail) {
  if (status === 'deactivated') {
    const byItself = 'it left by itself, or the configuration no longer names it';
    const means = deactivated_by === null ? byItself : 'only an operator can bring it back';
    return { word: 'Removed', by: deactivated_by, at: deactivated_at, reason: null, means };
  }
  if (disabled) return { word: 'Switched off', ...disabled, means: 'it is asked nothing until it is switched on' };
  if (draining === null) return null;
  const { since: at, reason } = draining;
  const by = draining.by === 'agent' ? 'its own word' : draining.by;
  return { word: 'Draining', by, at, reason, means: 'sessions that it has go on' };
}

const WINDOWS = [
  { value: '2h', label: '2 hours' },
  { value: '24h', label: '24 hours' },
] as const;

function History({ id }: { id: string }) {
  const window = new URLSearchParams(useSearch()).get('window') === '24h' ? '24h' : '2h';
  const refetchInterval = useReadAgain();
  const health = useQuery({
    queryKey: ['agent', id, 'health', window],
    queryFn: ({ signal }) => get<AgentHealth>(`/v1/agents/${id}/health`, { window }, signal),
    placeholderData: keepPreviousData,
    refetchInterval,
  });
  const failure = useFailure(health);
  const retry = () => health.refetch();
  return (
    <section aria-labelledby="history-title" className="border-b border-line px-4 pt-4 pb-4 @xl:px-6">
      <div className="mb-2 flex items-center justify-between gap-3">
        <h2 id="history-title" className="text-large font-semibold">
          Over time
        </h2>
        <WindowChoice
          windows={WINDOWS}
          current={window}
          href={(value) => (value === '2h' ? `/agents/${id}` : `/agents/${id}?window=${value}`)}
        />
      </div>
      {health.data ? (
        <div className={health.isPlaceholderData ? 'opacity-60' : ''}>
          {health.error && <StaleNote error={health.error} retry={retry} />}
          <HistoryPanel health={health.data} />
        </div>
      ) : failure ? (
        <PanelError className="h-56" error={failure} retry={retry} />
      ) : (
        <PanelLoading className="h-56" what="how it was" />
      )}
    </section>
  );
}
