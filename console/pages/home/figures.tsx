// The figures: each leads to the list behind it and says itself exactly on hover.
import { CircleAlert, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Overview } from '../../../src/http/contract.ts';
import { queryString } from '../../api.ts';
import { gatewayNow } from '../../clock.ts';
import { duration } from '../../parts/duration.ts';
import { exactly, percent, rate, shortly } from '../../parts/numbers.ts';
import { useNow } from '../../parts/time.tsx';
import { TONES } from './headline.tsx';
import { type Finding, failedShare, outgoing } from './verdict.ts';

const MINUTE_MS = 60_000;

type Props = { readonly overview: Overview; readonly findings: readonly Finding[] };

export function Figures({ overview, findings }: Props) {
  const { window, texts_in, texts_out, turns, parts, waiting } = overview;
  const toneOf = (about: Finding['about']) => findings.find((finding) => finding.about === about)?.tone;
  const minutes = window === '1h' ? 60 : 24 * 60;
  const ended = turns.replied + turns.fell_back;
  return (
    <section aria-label="Figures">
      <ul className="grid grid-cols-2 gap-px border-y border-line bg-line @xl:grid-cols-4 @5xl:grid-cols-8">
        <Figure
          label="Texts in"
          href={`/conversations?since=${window}`}
          value={shortly(texts_in)}
          exact={`${exactly(texts_in)} texts in`}
        >
          {rate(texts_in, minutes)}
        </Figure>
        <Figure
          label="Texts out"
          href={`/conversations?since=${window}`}
          value={shortly(texts_out)}
          exact={`${exactly(texts_out)} texts out; a long one leaves in several parts`}
        >
          {shortly(parts.delivered)} {parts.delivered === 1 ? 'part' : 'parts'} delivered
        </Figure>
        <TimeToAnswer overview={overview} />
        <Figure
          label="Answered"
          href={`/conversations?state=fell_back&since=${window}`}
          value={overview.answered_share === null ? null : percent(overview.answered_share)}
          exact={`${exactly(turns.replied)} of ${exactly(ended)} turns ended with an answer`}
          tone={toneOf('fell_back')}
        >
          {turns.fell_back === 0
            ? ended === 0
              ? 'no turn yet'
              : 'none fell back'
            : `${shortly(turns.fell_back)} fell back`}
        </Figure>
        <Figure
          label="Waiting now"
          href={`/conversations?state=${isForOperators(waiting) ? 'taken_over' : 'waiting'}`}
          value={shortly(isForOperators(waiting) ? waiting.with_operator.texts : waiting.texts)}
          exact={waits(waiting)}
          tone={toneOf('waiting') ?? toneOf('with_operator')}
        >
          <Oldest overview={overview} />
        </Figure>
        <Figure
          label="Not delivered"
          href={`/conversations?state=undelivered&since=${window}`}
          value={shortly(parts.failed)}
          exact={`${exactly(parts.failed)} of ${exactly(outgoing(parts))} parts of what went out were not delivered`}
          tone={toneOf('failed')}
        >
          {parts.failed === 0 ? 'none failed' : percent(failedShare(parts))}
        </Figure>
        <Figure
          label="Unknown"
          href={`/conversations?state=unknown&since=${window}`}
          value={shortly(parts.unknown)}
          exact={`Of ${exactly(parts.unknown)} texts the carrier did not say whether it took them; they are looked up, never sent twice`}
        >
          {parts.unknown === 0 ? 'all are known' : 'being looked up'}
        </Figure>
      </ul>
    </section>
  );
}

function Figure({
  label,
  href,
  value,
  exact,
  tone,
  children,
}: {
  label: string;
  href: string;
  /** Null: there is nothing to say a number about. */
  value: string | null;
  exact: string;
  tone?: 'warn' | 'bad' | undefined;
  children: ReactNode;
}) {
  const Sign = tone === 'bad' ? CircleAlert : TriangleAlert;
  return (
    <li className="bg-page">
      <Link
        href={href}
        title={exact}
        className="flex h-full flex-col px-4 py-3 -outline-offset-2 hover:bg-hover @xl:px-5 @5xl:px-4 @5xl:[li:first-child>&]:pl-6"
      >
        <span className="flex items-center gap-1 whitespace-nowrap text-ink-2">
          {label}
          {tone && <Sign size={13} className={TONES[tone]} aria-hidden />}
        </span>
        <span className={`figures text-figure font-medium tracking-tight ${tone ? TONES[tone] : ''}`}>
          {value ?? '–'}
        </span>
        <span className="figures truncate text-small text-ink-3">{children}</span>
      </Link>
    </li>
  );
}

/** Half of the people, nearly all of them, and the unlucky ones: an average would be nobody's time. Each leads to who waited longer. */
function TimeToAnswer({ overview: { window, time_to_answer_ms: time } }: { overview: Overview }) {
  return (
    <li className="col-span-2 bg-page">
      <div className="flex h-full flex-col py-3">
        <h2
          className="px-4 text-ink-2 @xl:px-5 @5xl:px-4"
          title="From the first text of a burst to the answer, before the carrier takes it"
        >
          Time to answer
        </h2>
        <div className="grid flex-1 grid-cols-3">
          {(['p50', 'p95', 'p99'] as const).map((name) => (
            <Link
              key={name}
              href={`/conversations${queryString({ since: window, slower_than: time ? Math.max(1, Math.floor(time[name])) : '' })}`}
              className="-my-3 flex flex-col justify-end px-4 py-3 -outline-offset-2 hover:bg-hover @xl:px-5 @5xl:px-4"
              title={time ? `${name}: ${exactly(Math.round(time[name]))} ms; see whose answers took longer` : undefined}
            >
              <span
                className={`figures text-figure font-medium tracking-tight whitespace-nowrap ${name === 'p50' ? '' : 'text-ink-2'}`}
              >
                {time ? <Split text={duration(time[name])} /> : '–'}
              </span>
              <span className="text-small text-ink-3">{name}</span>
            </Link>
          ))}
        </div>
      </div>
    </li>
  );
}

/** The number large, its unit small: three of them fit side by side. */
function Split({ text }: { text: string }) {
  const [number, ...unit] = text.split(' ');
  return (
    <>
      {number}
      <span className="text-base font-normal text-ink-2"> {unit.join(' ')}</span>
    </>
  );
}

function Oldest({ overview: { at, waiting } }: { overview: Overview }) {
  useNow();
  if (isForOperators(waiting)) return 'for an operator';
  if (waiting.oldest_ms === null) {
    if (waiting.texts > 0) return 'just now';
    return waiting.deferred === 0 ? 'nobody waits' : `agents answer ${shortly(waiting.deferred)} later`;
  }
  const ms = waiting.oldest_ms + Math.max(0, gatewayNow() - Date.parse(at));
  return `oldest ${duration(ms < MINUTE_MS ? ms : ms - (ms % MINUTE_MS))}`;
}

/** Whether all that waits waits for somebody who answers by hand. */
function isForOperators({ texts, with_operator }: Overview['waiting']): boolean {
  return texts === 0 && with_operator.texts > 0;
}

function waits({ texts, conversations, deferred, with_operator }: Overview['waiting']): string {
  return [
    `${exactly(texts)} texts wait in ${exactly(conversations)} conversations`,
    with_operator.texts > 0 &&
      `${exactly(with_operator.texts)} more wait for operators who have taken over ${exactly(with_operator.conversations)}`,
    deferred > 0 && `to ${exactly(deferred)} more questions agents said that they answer later`,
  ]
    .filter(Boolean)
    .join('; ');
}
