// The scrolling of what grows at its end, as the texts of a conversation do.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

/** Nearer to the end than this counts as being at the end: what comes is scrolled to. */
const AT_END_PX = 60;

/**
 * Stays at the end while somebody is there, and where they read while they read; older ones that are loaded push nothing away.
 * `ids` are what the element shows, oldest first. The element needs `overflow-anchor: none`: the browser's own anchoring would
 * correct the same shift once more.
 */
export function useStayAtEnd(ids: readonly string[]) {
  const [element, ref] = useState<HTMLElement | null>(null);
  const isAtEnd = useRef(true);
  const lastTop = useRef(0);
  const seen = useRef<{ first: string | undefined; last: string | undefined; height: number }>(undefined);
  const [unseen, setUnseen] = useState(0);

  useLayoutEffect(() => {
    if (!element) return;
    const old = seen.current;
    const height = element.scrollHeight;
    const last = ids.at(-1);
    seen.current = { first: ids[0], last, height };
    if (isAtEnd.current) element.scrollTop = height;
    else if (last !== old?.last) setUnseen((known) => known + countAfter(ids, old?.last));
    else if (old && ids[0] !== old.first) element.scrollTop += height - old.height;
  }, [element, ids]);

  useEffect(() => {
    if (!element) return;
    // Pictures, a state under a bubble and the composer change heights without a new text.
    const observer = new ResizeObserver(() => {
      if (seen.current) seen.current.height = element.scrollHeight;
      if (isAtEnd.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, [element]);

  /** To the end, and there to stay: what comes on the way there is scrolled to as well. */
  const toEnd = useCallback(() => {
    isAtEnd.current = true;
    setUnseen(0);
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    element?.scrollTo({ top: element.scrollHeight, behavior: isStill ? 'instant' : 'smooth' });
  }, [element]);

  /** Brings one of its items into view, unless it is there, and leaves the end for it. False: nothing can be seen of it now. */
  const show = useCallback(
    (item: Element): boolean => {
      if (!element || element.clientHeight === 0) return false;
      // It was out of sight until now, perhaps.
      if (isAtEnd.current) element.scrollTop = element.scrollHeight;
      const [area, { top, bottom }] = [element.getBoundingClientRect(), item.getBoundingClientRect()];
      if (top >= area.top && bottom <= area.bottom) return true;
      isAtEnd.current = false;
      const isPartlyThere = bottom > area.top && top < area.bottom;
      item.scrollIntoView({ block: isPartlyThere ? 'nearest' : 'center', behavior: 'instant' });
      return true;
    },
    [element],
  );

  const onScroll = () => {
    if (!element) return;
    // A picture that has just loaded moves the end away; only somebody who scrolls up leaves it.
    if (element.scrollHeight - element.scrollTop - element.clientHeight < AT_END_PX) isAtEnd.current = true;
    else if (element.scrollTop < lastTop.current) isAtEnd.current = false;
    lastTop.current = element.scrollTop;
    if (isAtEnd.current) setUnseen(0);
  };

  return { ref, unseen, toEnd, show, onScroll };
}

/** How many came after the one that was last; when that is gone, what there is to see cannot be told from what was seen. */
function countAfter(ids: readonly string[], last: string | undefined): number {
  const at = last === undefined ? -1 : ids.lastIndexOf(last);
  return at < 0 ? 1 : ids.length - 1 - at;
}
