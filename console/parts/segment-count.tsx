// What a text costs, while it is typed. The gateway counts, because only its count is the one that is billed.
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Segments, SegmentsBody } from '../../src/http/contract.ts';
import { change } from '../api.ts';

const PAUSE_MS = 120;
export const MAX_CHARACTERS = 1_600;
/** A text of another alphabet has as many reasons as letters. */
const MAX_REASONS = 6;

function usePaused(text: string): string {
  const [paused, setPaused] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setPaused(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return paused;
}

export function SegmentCount({
  text,
  by,
  pictures = 0,
}: {
  text: string;
  /** An operator's words are made plain before they are sent, a person's are not. */
  by: SegmentsBody['by'];
  pictures?: number;
}) {
  const paused = usePaused(text);
  const isCounted = (paused !== '' || pictures > 0) && paused.length <= MAX_CHARACTERS;
  const counted = useQuery({
    queryKey: ['segments', by, paused, pictures],
    queryFn: () => change<Segments>('POST', '/v1/segments', { by, text: paused, media: pictures }),
    enabled: isCounted,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 10_000,
    retry: false,
  });
  if (text === '' && pictures === 0)
    return (
      <p className="text-small text-ink-3 pointer-coarse:hidden">Enter sends, Shift and Enter begin a new line.</p>
    );
  if (text.length > MAX_CHARACTERS) {
    return (
      <p role="alert" className="text-small text-bad">
        <span className="figures">{(text.length - MAX_CHARACTERS).toLocaleString()}</span> characters too many: a text
        has {MAX_CHARACTERS.toLocaleString()} at most.
      </p>
    );
  }
  const characters = `${text.length.toLocaleString()} ${text.length === 1 ? 'character' : 'characters'}`;
  if (counted.error) return <Line parts={[characters, 'not counted: the gateway did not answer']} />;
  if (!counted.data) return <Line parts={[characters]} />;
  if (pictures > 0) return <Line parts={[characters, 'one MMS', dollars(counted.data.cost_micro_usd)]} />;
  const { segments, parts, left, encoding, cost_micro_usd: cost, forced_by: reasons } = counted.data;
  return (
    <div className={counted.isPlaceholderData ? 'opacity-70' : ''}>
      <Line
        parts={[
          characters,
          ...(parts > 1 ? [`${parts} messages`] : []),
          `${segments} ${segments === 1 ? 'segment' : 'segments'}`,
          `${left} left`,
          dollars(cost),
          encoding,
        ]}
      />
      {encoding === 'UCS-2' && reasons.length > 0 && (
        <p className="mt-0.5 flex flex-wrap items-center gap-1 text-small text-warn">
          70 instead of 160 to a segment because of
          {reasons.slice(0, MAX_REASONS).map((reason) => (
            <bdi key={reason} className="rounded-sm bg-warn-soft px-1 font-mono" title={codePoint(reason)}>
              {reason.trim() === '' ? codePoint(reason) : reason}
            </bdi>
          ))}
          {reasons.length > MAX_REASONS && <span>and {reasons.length - MAX_REASONS} more</span>}
        </p>
      )}
    </div>
  );
}

function Line({ parts }: { parts: readonly string[] }) {
  return (
    <p className="figures dotted text-small text-ink-3">
      {parts.map((part) => (
        <span key={part}>{part}</span>
      ))}
    </p>
  );
}

function codePoint(character: string): string {
  return [...character].map((one) => `U+${one.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`).join(' ');
}

/** $0.0083 */
function dollars(microUsd: number): string {
  return `$${(microUsd / 1_000_000).toFixed(4)}`;
}
