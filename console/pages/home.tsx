// Is it well? One sentence first, then the figures behind it, what they were over time, and who answers.
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useSearch } from 'wouter';
import type { ConversationPage, Overview } from '../../src/http/contract.ts';
import { get } from '../api.ts';
import { useLiveState } from '../live.ts';
import { useFailure } from '../parts/failure.ts';
import { PanelError, PanelLoading, StaleNote } from '../parts/panel-states.tsx';
import { useInstance } from '../parts/shell.tsx';
import { WindowChoice } from '../parts/window-choice.tsx';
import { Agents } from './home/agents.tsx';
import { ChartPanel } from './home/chart-panel.tsx';
import { Figures } from './home/figures.tsx';
import { FirstText } from './home/first-text.tsx';
import { Headline } from './home/headline.tsx';
import { judge } from './home/verdict.ts';

/** Windows move on and what waits grows old even when nothing happens. */
const READ_AGAIN_MS = 15_000;
const WINDOWS = [
  { value: '1h', label: '1 hour' },
  { value: '24h', label: '24 hours' },
] as const;
type Window = (typeof WINDOWS)[number]['value'];

export default function HomePage() {
  const window: Window = new URLSearchParams(useSearch()).get('window') === '24h' ? '24h' : '1h';
  const isPaused = useLiveState() === 'paused';
  const overview = useQuery({
    queryKey: ['overview', window],
    queryFn: ({ signal }) => get<Overview>('/v1/overview', { window }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: isPaused ? false : READ_AGAIN_MS,
  });
  const instance = useInstance();
  const isNew = useIsNew(overview.data);
  const failure = useFailure(overview);
  const numbersFailure = useFailure(instance);
  const retry = () => overview.refetch();

  if (!overview.data) {
    return (
      <div className="h-full">
        <h1 className="sr-only">Home</h1>
        {failure ? (
          <PanelError className="h-full" error={failure} retry={retry} />
        ) : (
          <PanelLoading className="h-full" what="how it is" />
        )}
      </div>
    );
  }
  const verdict = judge(overview.data, numbersFailure ? null : instance.data?.numbers);
  return (
    <div className="scroll-y @container h-full">
      {overview.error && <StaleNote error={overview.error} retry={retry} />}
      <div className={overview.isPlaceholderData ? 'opacity-60' : ''}>
        {isNew ? (
          <FirstText agents={overview.data.agents} />
        ) : (
          <>
            <Headline verdict={verdict} retry={instance.refetch}>
              <WindowChoice
                windows={WINDOWS}
                current={window}
                href={(value) => (value === '1h' ? '/' : `/?window=${value}`)}
              />
            </Headline>
            <Figures overview={overview.data} findings={verdict.findings} />
            <ChartPanel overview={overview.data} />
          </>
        )}
        <Agents agents={overview.data.agents} />
      </div>
    </div>
  );
}

/** Whether nobody has ever texted: then figures say nothing, and how to begin says more. */
function useIsNew(overview: Overview | undefined): boolean {
  const isEmpty = overview !== undefined && overview.texts_in === 0 && overview.texts_out === 0;
  const any = useQuery({
    // Under `overview`, so that the first text makes it old.
    queryKey: ['overview', 'any'],
    queryFn: ({ signal }) => get<ConversationPage>('/v1/conversations', { limit: 1 }, signal),
    enabled: isEmpty,
  });
  return isEmpty && any.data !== undefined && any.data.data.length === 0 && any.data.next_cursor === null;
}
