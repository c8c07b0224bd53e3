// All agents: how each is, at a glance. A table where there is room, cards where there is not.
import { Plus } from 'lucide-react';
import { useRef } from 'react';
import { Link, useLocation } from 'wouter';
import type { Agent, AgentStats } from '../../../src/http/contract.ts';
import { useAgentStats } from '../../parts/agent-stats.ts';
import { Button } from '../../parts/button.tsx';
import { useFailure } from '../../parts/failure.ts';
import { Choice, SearchField } from '../../parts/filter-fields.tsx';
import { Kbd } from '../../parts/kbd.tsx';
import { PanelEmpty, PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { AgentCards, AgentTable } from './agent-rows.tsx';
import { BringAgent } from './bring-agent.tsx';
import { PROTOCOLS } from './protocols.ts';
import { type Filter, useAgents, useFilter } from './use-agents.ts';

const GROUP = 'Agents';
const STATUSES = [
  { value: '', label: 'All states' },
  { value: 'active', label: 'Active' },
  { value: 'degraded', label: 'Degraded' },
  { value: 'disabled', label: 'Down or off' },
  { value: 'registered', label: 'New' },
  { value: 'deactivated', label: 'Removed' },
] as const;

export function AgentListPage() {
  const [filter, set] = useFilter();
  const [, navigate] = useLocation();
  const agents = useAgents(filter);
  const stats = useAgentStats();
  const isNew = stats.data?.total === 0 && Object.keys(filter).length === 0;
  useShortcut({ keys: 'n', label: 'Register an agent', group: GROUP }, () => navigate('/agents/new'));
  const items = agents.data?.pages.flatMap(({ data }) => data) ?? [];
  const failure = useFailure(agents);
  const retry = () => agents.refetch();
  if (isNew && items.length === 0 && agents.data) return <BringAgent />;
  return (
    <div className="scroll-y @container h-full">
      <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3 px-4 pt-5 @xl:px-6 @xl:pt-7">
        <div>
          <h1 className="text-figure font-semibold tracking-tight">Agents</h1>
          <Summary stats={stats.data} />
        </div>
        <Link
          href="/agents/new"
          className="inline-flex h-8 items-center gap-1.5 rounded-md bg-ink px-3 font-medium text-on-ink hover:bg-ink-2 pointer-coarse:h-9"
        >
          <Plus size={14} strokeWidth={2.2} aria-hidden /> Register an agent
        </Link>
      </header>
      <Filters filter={filter} set={set} stats={stats.data} />
      {agents.data && agents.error && <StaleNote error={agents.error} retry={retry} />}
      {failure ? (
        <PanelError error={failure} retry={retry} />
      ) : !agents.data ? (
        <PanelLoading what="agents" className="h-40" />
      ) : items.length === 0 ? (
        <NoneLikeThat />
      ) : (
        <div className={agents.isPlaceholderData ? 'opacity-60' : ''}>
          <Rows agents={items} />
          <Foot list={agents} />
        </div>
      )}
    </div>
  );
}

/** What the list is about, as numbers that lead to it. */
function Summary({ stats }: { stats: AgentStats | undefined }) {
  if (!stats) return <p className="mt-0.5 text-large text-ink-2">&nbsp;</p>;
  const { total, healthy, draining, by_status } = stats;
  const down = by_status.disabled ?? 0;
  const degraded = by_status.degraded ?? 0;
  const parts = [
    { href: '/agents', text: `${total} registered` },
    { href: '/agents?status=active', text: `${healthy} healthy` },
    degraded > 0 && { href: '/agents?status=degraded', text: `${degraded} degraded` },
    down > 0 && { href: '/agents?status=disabled', text: `${down} down or off` },
  ].filter((part) => part !== false);
  return (
    <p className="figures dotted mt-0.5 text-large text-ink-2">
      {parts.map(({ href, text }) => (
        <span key={href}>
          <Link href={href} className="rounded-sm underline-offset-2 hover:text-ink hover:underline">
            {text}
          </Link>
        </span>
      ))}
      {draining > 0 && <span>{draining} draining</span>}
    </p>
  );
}

function Filters({
  filter,
  set,
  stats,
}: {
  filter: Filter;
  set: (part: Filter) => void;
  stats: AgentStats | undefined;
}) {
  const types = [
    ...new Set([...(stats?.by_type.map(({ type }) => type) ?? []), ...(filter.type ? [filter.type] : [])]),
  ];
  return (
    <div className="flex flex-wrap items-center gap-2 px-4 pt-4 pb-3 @xl:px-6">
      <div className="w-full @md:w-60">
        <SearchField
          label="Find by name"
          group={GROUP}
          clear="Show all names"
          value={filter.name ?? ''}
          onChange={(name) => set({ name })}
        />
      </div>
      <div className="flex flex-wrap items-center gap-1">
        <Choice label="State" value={filter.status ?? ''} options={STATUSES} onChange={(status) => set({ status })} />
        <Choice
          label="Type"
          value={filter.type ?? ''}
          options={[{ value: '', label: 'All types' }, ...types.map((type) => ({ value: type, label: type }))]}
          onChange={(type) => set({ type })}
        />
        <Choice
          label="Protocol"
          value={filter.protocol ?? ''}
          options={[
            { value: '', label: 'All protocols' },
            ...Object.entries(PROTOCOLS).map(([value, { label }]) => ({ value, label })),
          ]}
          onChange={(protocol) => set({ protocol })}
        />
      </div>
      <p className="ml-auto hidden items-center gap-1.5 text-small text-ink-3 @4xl:flex pointer-coarse:hidden">
        <Kbd>j</Kbd> <Kbd>k</Kbd> go through them, <Kbd>Enter</Kbd> opens
      </p>
    </div>
  );
}

function Rows({ agents }: { agents: readonly Agent[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const step = (by: number) => {
    const links = [...(frame.current?.querySelectorAll<HTMLElement>('[data-agent]') ?? [])].filter(
      (link) => link.offsetParent !== null,
    );
    const at = links.indexOf(document.activeElement as HTMLElement);
    links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  };
  useShortcut({ keys: 'j', label: 'Next agent', group: GROUP }, () => step(1));
  useShortcut({ keys: 'k', label: 'Previous agent', group: GROUP }, () => step(-1));
  return (
    <div ref={frame} className="@xl:px-6">
      <AgentTable agents={agents} />
      <AgentCards agents={agents} />
    </div>
  );
}

function Foot({ list }: { list: ReturnType<typeof useAgents> }) {
  if (list.isFetchNextPageError)
    return <PanelError error={list.error} retry={() => void list.fetchNextPage()} className="p-4" />;
  if (!list.hasNextPage) return <div className="h-10" />;
  return (
    <div className="flex justify-center p-4">
      <Button disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
        {list.isFetchingNextPage ? 'Reading more …' : 'More agents'}
      </Button>
    </div>
  );
}

function NoneLikeThat() {
  return (
    <PanelEmpty
      title="None like that"
      action={
        <Link href="/agents" className="font-medium text-accent underline underline-offset-2">
          Show all
        </Link>
      }
    >
      No agent fits this filter.
    </PanelEmpty>
  );
}
