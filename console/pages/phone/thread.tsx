// What is on the screen of a phone: its own texts on the right, ours on the left, and what became of the newest of each.
import { ArrowDown } from 'lucide-react';
import { type KeyboardEvent, useLayoutEffect, useMemo, useState } from 'react';
import { Button } from '../../parts/button.tsx';
import { useFailure } from '../../parts/failure.ts';
import { formatAddress } from '../../parts/format-address.ts';
import { PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { useStayAtEnd } from '../../parts/stay-at-end.ts';
import { DraftBubble, TextBubble } from './bubble.tsx';
import { hasFailed } from './delivery.ts';
import { FirstText } from './first-text.tsx';
import type { Draft, Text, useTexts } from './use-texts.ts';

/** So many are drawn; older ones are asked for. A phone in a load test has thousands. */
const PAGE = 200;
/** After so much silence the time is said again. */
const SILENCE_MS = 10 * 60_000;

export function Thread({
  phone,
  ours,
  texts: { query, texts, drafts, discard },
  send,
  edit,
}: {
  phone: string;
  ours: string;
  texts: ReturnType<typeof useTexts>;
  send: (body: string, mediaUrls: readonly string[]) => void;
  /** Takes a text that was refused back into the composer. */
  edit: (draft: Draft) => void;
}) {
  const failure = useFailure(query);
  const [shown, setShown] = useState(PAGE);
  const page = useMemo(() => texts.slice(-shown), [texts, shown]);
  const scroll = useStayAtEnd(useMemo(() => page.map(({ message }) => message.sid), [page]));
  const { toEnd } = scroll;
  // Who sends wants to see it, wherever they were reading.
  useLayoutEffect(() => {
    if (drafts.length > 0) toEnd();
  }, [drafts.length, toEnd]);
  const isOld = !query.isFetchedAfterMount && texts.length === 0;
  if (failure && texts.length === 0)
    return <PanelError error={failure} retry={() => query.refetch()} className="flex-1" />;
  if ((!query.data && !failure) || (isOld && query.isFetching))
    return <PanelLoading what="the texts" className="flex-1" />;
  const newest = new Set([texts.findLast(({ isMine }) => isMine), texts.findLast(({ isMine }) => !isMine)]);
  return (
    <>
      {query.error && <StaleNote error={query.error} retry={() => query.refetch()} />}
      <div className="relative min-h-0 flex-1">
        <div
          ref={scroll.ref}
          role="log"
          aria-label={`Texts of ${formatAddress(phone)}`}
          onScroll={scroll.onScroll}
          onKeyDown={moveBetweenBubbles}
          className="scroll-y h-full [overflow-anchor:none]"
        >
          <div className="flex min-h-full flex-col justify-end px-3 pt-3 pb-2">
            {texts.length > page.length && (
              <Button look="quiet" className="mb-2 self-center" onClick={() => setShown(shown + PAGE)}>
                {texts.length - page.length} older ones
              </Button>
            )}
            <ol className="flex flex-col">
              {page.map((text, n) => (
                <Entry
                  key={text.message.sid}
                  text={text}
                  before={page[n - 1]}
                  after={page[n + 1]}
                  answered={newest.has(text) ? answeredBy(texts, text) : null}
                  hasFoot={hasFailed(text) || newest.has(text)}
                  isLast={n === page.length - 1}
                />
              ))}
              {drafts.map((draft) => (
                <li key={draft.key} className="pt-2">
                  <DraftBubble
                    draft={draft}
                    again={() => {
                      discard(draft.key);
                      send(draft.body, draft.mediaUrls);
                    }}
                    edit={() => {
                      discard(draft.key);
                      edit(draft);
                    }}
                  />
                </li>
              ))}
            </ol>
            {texts.length === 0 && drafts.length === 0 && <FirstText ours={ours} send={send} />}
          </div>
        </div>
        {scroll.unseen > 0 && (
          <button
            type="button"
            onClick={scroll.toEnd}
            className="animate-appear absolute bottom-3 left-1/2 flex h-7 -translate-x-1/2 items-center gap-1 rounded-full bg-ink px-3 text-small font-medium text-on-ink shadow-float pointer-coarse:h-9"
          >
            New <ArrowDown size={13} aria-hidden />
          </button>
        )}
      </div>
    </>
  );
}

function Entry({
  text,
  before,
  after,
  answered,
  hasFoot,
  isLast,
}: {
  text: Text;
  before: Text | undefined;
  after: Text | undefined;
  answered: Answered | null;
  hasFoot: boolean;
  isLast: boolean;
}) {
  const isAfterSilence = before === undefined || gap(before, text) > SILENCE_MS;
  const isNewSide = isAfterSilence || before.isMine !== text.isMine;
  const endsGroup = after === undefined || after.isMine !== text.isMine || gap(text, after) > SILENCE_MS;
  return (
    <li className={isAfterSilence ? '' : isNewSide ? 'pt-2.5' : 'pt-[3px]'}>
      {isAfterSilence && (
        <p className="pt-3 pb-2 text-center text-small text-ink-3">
          <time dateTime={text.message.at}>{whenIn(new Date(text.message.at))}</time>
        </p>
      )}
      <TextBubble text={text} answered={answered} hasFoot={hasFoot} endsGroup={endsGroup} isTabStop={isLast} />
    </li>
  );
}

function gap(before: Text, after: Text): number {
  return Date.parse(after.message.at) - Date.parse(before.message.at);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'long' });
const date = new Intl.DateTimeFormat(undefined, { weekday: 'short', month: 'short', day: 'numeric' });

function whenIn(then: Date): string {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(then).setHours(0, 0, 0, 0)) / 86_400_000);
  const day = days === 0 ? 'Today' : days === 1 ? 'Yesterday' : days < 7 ? weekday.format(then) : date.format(then);
  return `${day} ${clock.format(then)}`;
}

export type Answered = { readonly afterMs: number } | 'not yet';

/** For an answer: how long after the text before it. For a text: whether anything came back. */
function answeredBy(texts: readonly Text[], text: Text): Answered | null {
  const at = texts.indexOf(text);
  if (text.isMine) return texts.slice(at + 1).some(({ isMine }) => !isMine) ? null : 'not yet';
  const asked = texts.slice(0, at).findLast(({ isMine }) => isMine);
  return asked === undefined ? null : { afterMs: gap(asked, text) };
}

/** One tab stop for all bubbles; the arrows go from one to the next, so that Tab leads past them to the composer. */
function moveBetweenBubbles(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-path]')];
  const at = links.indexOf(document.activeElement as HTMLElement);
  const next = links[at + (event.key === 'ArrowUp' ? -1 : 1)];
  if (at < 0 || next === undefined) return;
  event.preventDefault();
  next.focus();
}
