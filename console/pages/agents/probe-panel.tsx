// The newest staged probe of an agent, and the one that is under way.
import { useIsMutating } from '@tanstack/react-query';
import type { AgentDetail } from '../../../src/http/contract.ts';
import { Ago } from '../../parts/time.tsx';
import { ProbeNote, ProbeStrip } from './probe-strip.tsx';

export function ProbePanel({ agent }: { agent: AgentDetail }) {
  const isRunning = useIsMutating({ mutationKey: ['agent', agent.id, 'probe'] }) > 0;
  const { last_probe: probe, last_check: check } = agent;
  return (
    <section aria-labelledby="probe-title" className="border-b border-line px-4 pt-4 pb-5 @xl:px-6">
      <div className="mb-2 flex flex-wrap items-baseline justify-between gap-x-3">
        <h2 id="probe-title" className="text-large font-semibold">
          Probe
        </h2>
        <span aria-live="polite">
          {isRunning ? (
            <span className="animate-wait text-small text-ink-2">It is being tried …</span>
          ) : (
            probe && <ProbeNote probe={probe} />
          )}
        </span>
      </div>
      {isRunning || probe ? (
        <ProbeStrip probe={isRunning ? null : probe} />
      ) : (
        <p className="text-ink-2">It was never tried stage by stage: “Probe now” does that.</p>
      )}
      {check && (
        <p className="mt-2 text-small text-ink-3">
          Last automatic check <Ago at={check.at} inSentence />: {CHECKED[check.outcome]}
          {check.error_code !== null && ` (${check.error_code})`}. While it answers texts, none is needed.
        </p>
      )}
    </section>
  );
}

const CHECKED = {
  up: 'well',
  down: 'not well',
  unknown: 'it answers, and has no way to say how it is',
} as const;
