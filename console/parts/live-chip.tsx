import { Pause, Play, RefreshCw, TriangleAlert } from 'lucide-react';
import { type LiveState, pauseLive, useLiveState, useMissed } from '../live.ts';

const SAYS: Readonly<Record<LiveState, { text: string; title: string; tone: string }>> = {
  live: { text: 'Live', title: 'Everything here moves as it happens.', tone: 'text-good' },
  reconnecting: {
    text: 'Reconnecting',
    title: 'The line to the gateway is cut. What was missed comes when it is back.',
    tone: 'text-warn',
  },
  stale: {
    text: 'Stale',
    title: 'The line is open but silent for more than ten seconds. What is shown may be old.',
    tone: 'text-bad',
  },
  paused: { text: 'Paused', title: 'Nothing here moves by itself until you go on.', tone: 'text-ink-2' },
};

function Sign({ state }: { state: LiveState }) {
  if (state === 'live')
    return (
      <span aria-hidden className="relative flex size-2">
        <span className="absolute inset-0 animate-ping rounded-full bg-good opacity-40 [animation-duration:2.4s]" />
        <span className="size-2 rounded-full bg-good" />
      </span>
    );
  const Icon = state === 'reconnecting' ? RefreshCw : state === 'stale' ? TriangleAlert : Pause;
  return <Icon size={12} className={state === 'reconnecting' ? 'animate-spin' : ''} aria-hidden />;
}

/** Whether what is on the page is what is true, and the button that holds it still. */
export function LiveChip() {
  const state = useLiveState();
  const missed = useMissed();
  const isPaused = state === 'paused';
  const toggle = () => pauseLive(!isPaused);
  const { text, title, tone } = SAYS[state];
  return (
    <div className={`flex items-center rounded-full border border-line bg-raised ${tone}`}>
      <span role="status" title={title} className="flex h-6 items-center gap-1.5 pr-1.5 pl-2.5 text-small font-medium">
        <Sign state={state} />
        {text}
        {isPaused && missed > 0 && <span className="figures text-ink-3">· {missed > 999 ? '999+' : missed} new</span>}
      </span>
      <button
        type="button"
        onClick={toggle}
        aria-label={isPaused ? 'Go on live' : 'Pause live updates'}
        title={isPaused ? 'Go on live (z)' : 'Pause live updates (z)'}
        className="flex size-6 items-center justify-center rounded-full text-ink-3 hover:bg-hover hover:text-ink"
      >
        {isPaused ? <Play size={11} aria-hidden /> : <Pause size={11} aria-hidden />}
      </button>
    </div>
  );
}
