// A staged probe as what it is: the way of a text to an agent, one stage after the other, as far as it got.
import { Check, CircleHelp, LoaderCircle, type LucideIcon, Minus, X } from 'lucide-react';
import type { AgentProbe } from '../../../src/http/contract.ts';
import { duration } from '../../parts/duration.ts';
import { Ago } from '../../parts/time.tsx';

type Stage = AgentProbe['stages'][number];

const STAGES: Readonly<Record<Stage['stage'], { readonly name: string; readonly means: string }>> = {
  dns: { name: 'DNS', means: 'Its name has an address, and one that may be called' },
  tcp: { name: 'TCP', means: 'Something takes connections there' },
  tls: { name: 'TLS', means: 'The certificate is valid for the name' },
  http: { name: 'HTTP', means: 'A server answers requests' },
  handshake: { name: 'Handshake', means: 'It speaks the protocol that is registered' },
  echo: { name: 'Echo', means: 'It answers a question as it would answer a text' },
};
const ORDER = Object.keys(STAGES) as Stage['stage'][];

type Sign = { readonly icon: LucideIcon; readonly tone: string; readonly word: string };
const SIGNS: Readonly<Record<Stage['outcome'] | 'unreached' | 'waiting', Sign>> = {
  passed: { icon: Check, tone: 'text-good', word: 'passed' },
  failed: { icon: X, tone: 'text-bad', word: 'failed' },
  unknown: { icon: CircleHelp, tone: 'text-ink-3', word: 'says nothing' },
  skipped: { icon: Minus, tone: 'text-ink-3', word: 'not here' },
  unreached: { icon: Minus, tone: 'text-ink-3', word: 'not reached' },
  waiting: { icon: LoaderCircle, tone: 'text-accent', word: 'under way' },
};

/** `probe` null: it is under way. */
export function ProbeStrip({ probe }: { probe: AgentProbe | null }) {
  const reached = new Map(probe?.stages.map((stage) => [stage.stage, stage]));
  return (
    <div>
      <ol
        aria-label="Stages of the probe"
        className="grid grid-cols-2 gap-px overflow-hidden rounded-md border border-line bg-line @md:grid-cols-3 @5xl:grid-cols-6"
      >
        {ORDER.map((name) => (
          <StageCell key={name} name={name} stage={reached.get(name)} isRunning={probe === null} />
        ))}
      </ol>
      {probe && !probe.ok && (
        <div className="mt-2 rounded-md bg-bad-soft px-3 py-2">
          <p className="font-medium text-bad">
            It failed at “{probe.failed_stage ? STAGES[probe.failed_stage].name : 'the beginning'}”: {probe.reason}
          </p>
          {probe.hint && <p className="mt-0.5 text-ink">{probe.hint}</p>}
          {probe.code && (
            <a
              href={`/docs/errors#${probe.code}`}
              target="_blank"
              rel="noreferrer"
              className="mt-0.5 inline-block font-mono text-small text-ink-2 underline underline-offset-2"
            >
              {probe.code}
            </a>
          )}
        </div>
      )}
    </div>
  );
}

function StageCell({ name, stage, isRunning }: { name: Stage['stage']; stage: Stage | undefined; isRunning: boolean }) {
  const { icon: Icon, tone, word } = SIGNS[stage?.outcome ?? (isRunning ? 'waiting' : 'unreached')];
  const isPale = stage === undefined || stage.outcome === 'skipped';
  return (
    <li
      className={`min-w-0 px-3 py-2 ${stage?.outcome === 'failed' ? 'bg-bad-soft' : 'bg-panel'}`}
      title={STAGES[name].means}
    >
      <p className="flex items-center gap-1.5">
        <Icon
          size={13}
          strokeWidth={2.4}
          aria-hidden
          className={`shrink-0 ${tone} ${isRunning ? 'animate-spin [animation-duration:1.6s]' : ''}`}
        />
        <span className={`font-medium ${isPale ? 'text-ink-3' : ''}`}>{STAGES[name].name}</span>
        {stage !== undefined && stage.duration_ms > 0 && (
          <span className="figures ml-auto shrink-0 text-small text-ink-3">{duration(stage.duration_ms)}</span>
        )}
      </p>
      <p
        className={`mt-0.5 line-clamp-3 text-small wrap-anywhere ${stage?.outcome === 'failed' ? 'text-ink' : 'text-ink-3'}`}
      >
        <span className="sr-only">{word}: </span>
        {stage?.detail ?? (isRunning ? '…' : word)}
      </p>
    </li>
  );
}

/** When, how long, and how deep. */
export function ProbeNote({ probe }: { probe: AgentProbe }) {
  return (
    <span className="figures text-small text-ink-3">
      {probe.ok ? 'no stage failed' : 'failed'} · {duration(probe.duration_ms)}
      {probe.depth === 'handshake' && ' · without a question'} · <Ago at={probe.at} inSentence />
    </span>
  );
}
