// The texts of one phone: read once, then moved by what happens at the carrier.
import { useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { PhoneMessage } from '../../../src/http/contract.ts';
import { change, get, newKey } from '../../api.ts';
import { listenLive, useLiveState } from '../../live.ts';
import { refreshSoon } from '../../refresh.ts';

export type Text = { readonly message: PhoneMessage; readonly isMine: boolean };
/** On its way to the carrier, or refused on the way. */
export type Draft = {
  readonly key: string;
  readonly at: string;
  readonly body: string;
  readonly mediaUrls: readonly string[];
  readonly error: unknown;
};

/** A status never goes back: an answer that was read before an event and arrives after it must not undo it. */
const PROGRESS: readonly string[] = [
  'scheduled',
  'queued',
  'sent',
  'delivered',
  'undelivered',
  'failed',
  'canceled',
  'read',
];

/** Without the stream it is asked for, a little slower than somebody waits. */
const ASK_AGAIN_MS = 2_000;

export function useTexts(phone: string, ours: string) {
  const live = useLiveState();
  const query = useQuery({
    queryKey: ['phone', phone],
    queryFn: ({ signal }) =>
      get<{ data: PhoneMessage[] }>(`/v1/simulator/phones/${encodeURIComponent(phone)}/messages`, {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
    // What is heard after it was read is kept by this page alone: who comes back reads anew.
    refetchOnMount: 'always',
    refetchInterval: live === 'reconnecting' || live === 'stale' ? ASK_AGAIN_MS : false,
  });
  const [heard, setHeard] = useState<ReadonlyMap<string, PhoneMessage>>(new Map());
  const { drafts, send, discard, settle } = useDrafts(phone, ours, (message) =>
    setHeard((known) => (known.has(message.sid) ? known : new Map(known).set(message.sid, message))),
  );
  useEffect(
    () =>
      listenLive({
        back: () => refreshSoon(['phone', phone]),
        phone: ({ type, message }) => {
          if (message.from !== phone && message.to !== phone) return;
          if (type === 'text-in') settle(message.body);
          setHeard((known) => new Map(known).set(message.sid, further(known.get(message.sid), message)));
        },
      }),
    [phone, settle],
  );
  const texts = useMemo(() => merged(query.data?.data ?? [], heard, phone, ours), [query.data, heard, phone, ours]);
  return { query, texts, drafts: drafts.filter((draft) => draft.to === ours), send, discard };
}

/** Of two states of a message the one that came later. */
function further(before: PhoneMessage | undefined, after: PhoneMessage): PhoneMessage {
  return before === undefined || progress(after) >= progress(before) ? after : before;
}

function progress({ status, webhook }: PhoneMessage): number {
  if (webhook === null) return PROGRESS.indexOf(status);
  return 2 * webhook.taken + (webhook.http_status === null ? 0 : 1);
}

/** Oldest first, only between this phone and the chosen number of ours. */
function merged(
  read: readonly PhoneMessage[],
  heard: ReadonlyMap<string, PhoneMessage>,
  phone: string,
  ours: string,
): Text[] {
  const all = new Map(read.map((message) => [message.sid, message]));
  for (const [sid, message] of heard) all.set(sid, further(all.get(sid), message));
  return [...all.values()]
    .map((message) => ({ message, isMine: message.from === phone }))
    .filter(({ message, isMine }) => (isMine ? message.to : message.from) === ours)
    .sort((a, b) => a.message.at.localeCompare(b.message.at));
}

function asSent(sid: string, draft: Draft & { readonly to: string }, phone: string): PhoneMessage {
  const { at, to, body, mediaUrls } = draft;
  const shape = { direction: 'in', segments: 1, status: 'received', error_code: null, error_reason: null } as const;
  return {
    sid,
    at,
    from: phone,
    to,
    body,
    media_urls: mediaUrls.map((_, n) => `/v1/simulator/media/${sid}/${n}`),
    ...shape,
    webhook: { taken: 0, http_status: null },
  };
}

/** A text is on the screen before the carrier has it, and stays there with the reason when it does not get there. */
function useDrafts(phone: string, ours: string, onTaken: (message: PhoneMessage) => void) {
  const taken = useRef(onTaken);
  taken.current = onTaken;
  const [drafts, setDrafts] = useState<readonly (Draft & { readonly to: string })[]>([]);
  const discard = useCallback((key: string) => setDrafts((known) => known.filter((draft) => draft.key !== key)), []);
  const send = useCallback(
    (body: string, mediaUrls: readonly string[]) => {
      const key = newKey();
      const draft = { key, at: new Date().toISOString(), body, mediaUrls, error: null, to: ours };
      setDrafts((known) => [...known, draft]);
      const text = { from: phone, to: ours, text: body, media_urls: mediaUrls };
      change<{ sid: string }>('POST', '/v1/simulator/texts', text, key).then(
        ({ sid }) => {
          // The stream may be cut, and a text that was sent must not vanish until it is back.
          taken.current(asSent(sid, draft, phone));
          discard(key);
        },
        (error: unknown) =>
          setDrafts((known) => known.map((draft) => (draft.key === key ? { ...draft, error } : draft))),
      );
    },
    [phone, ours, discard],
  );
  /** The carrier says that it has a text before the request that brought it is answered. */
  const settle = useCallback((body: string) => {
    setDrafts((known) => {
      const at = known.findIndex((draft) => draft.body === body && draft.error === null);
      return at < 0 ? known : known.toSpliced(at, 1);
    });
  }, []);
  return { drafts, send, discard, settle };
}
