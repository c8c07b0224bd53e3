// What somebody is writing: it is there when they come back to it, and gone with the tab.
import { useSyncExternalStore } from 'react';
import { newKey } from '../../api.ts';

export type Draft = {
  readonly words: string;
  /** Goes along with these words, however often they are sent: after an answer that got lost they are still one text. */
  readonly key: string;
};

/** By the conversation or the turn that they are for. */
const drafts = new Map<string, Draft>();
const watchers = new Set<() => void>();

function put(of: string, draft: Draft | null): void {
  if (draft === null) drafts.delete(of);
  else drafts.set(of, draft);
  for (const watcher of watchers) watcher();
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function useDraft(of: string): Draft | null {
  return useSyncExternalStore(watch, () => drafts.get(of) ?? null);
}

/** Other words have another key; null: there is no draft any more. */
export function write(of: string, words: string | null): void {
  put(of, words === null ? null : { words, key: newKey() });
}

/** What could not be sent is there to be sent again, before what was typed meanwhile. */
export function giveBack(of: string, draft: Draft): void {
  const typed = drafts.get(of)?.words ?? '';
  if (typed === '') put(of, draft);
  else write(of, `${draft.words}\n${typed}`);
}
