import { CircleAlert, CircleCheck, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Finding, Tone, Verdict } from './verdict.ts';

const SIGNS = { good: CircleCheck, warn: TriangleAlert, bad: CircleAlert } as const;
export const TONES: Readonly<Record<Tone, string>> = { good: 'text-good', warn: 'text-warn', bad: 'text-bad' };

/** The answer in a sentence, the reason in another, and what else is not well below. */
export function Headline({
  verdict,
  retry,
  children,
}: {
  verdict: Verdict;
  /** Reads again what could not be read. */
  retry: () => unknown;
  children: ReactNode;
}) {
  const [worst, ...others] = verdict.findings;
  const Sign = SIGNS[verdict.tone];
  return (
    <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3 px-4 pt-5 pb-5 @xl:px-6 @xl:pt-7">
      <div className="flex min-w-0 gap-3">
        <Sign size={22} strokeWidth={1.9} className={`mt-1.5 shrink-0 ${TONES[verdict.tone]}`} aria-hidden />
        <div className="min-w-0">
          <h1 aria-live="polite" className="text-figure font-semibold tracking-tight text-balance">
            {verdict.headline}
          </h1>
          <p className="mt-0.5 max-w-prose text-large text-ink-2">
            {verdict.reason} {worst && <FindingLink finding={worst} retry={retry} />}
          </p>
          {others.length > 0 && (
            <ul className="mt-2 flex max-w-prose flex-col gap-1" aria-label="What else is not well">
              {others.map((finding) => (
                <Other key={finding.about} finding={finding} retry={retry} />
              ))}
            </ul>
          )}
        </div>
      </div>
      {children}
    </header>
  );
}

type OfFinding = { readonly finding: Finding; readonly retry: () => unknown };

function Other({ finding, retry }: OfFinding) {
  const Sign = SIGNS[finding.tone];
  return (
    <li className="flex gap-2 text-ink-2">
      <Sign size={14} className={`mt-[3px] shrink-0 ${TONES[finding.tone]}`} aria-hidden />
      <span>
        {finding.reason} <FindingLink finding={finding} retry={retry} />
      </span>
    </li>
  );
}

function FindingLink({ finding: { href, link }, retry }: OfFinding) {
  const className = 'whitespace-nowrap text-accent underline decoration-1 underline-offset-2';
  if (href === null) {
    return (
      <button type="button" onClick={() => void retry()} className={className}>
        {link}
      </button>
    );
  }
  if (href.startsWith('#')) {
    return (
      <a href={href} className={className}>
        {link}
      </a>
    );
  }
  return (
    <Link href={href} className={className}>
      {link}
    </Link>
  );
}
