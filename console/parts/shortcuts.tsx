// The keyboard: every page registers its keys while it is there, `?` shows them. Keys that what has the focus does something with
// stay with it. Single letters do nothing while somebody types, and can be turned off, because who speaks to their machine types
// them by accident (WCAG 2.1.4).
import { useEffect, useRef, useSyncExternalStore } from 'react';

export type Shortcut = {
  /** `j`, `Escape`, `mod+k`, or two keys in a row: `g h`. */
  readonly keys: string;
  readonly label: string;
  readonly group: string;
};
type Registered = Shortcut & { readonly run: { readonly current: (event: KeyboardEvent) => void } };

const SEQUENCE_MS = 1_200;
const OFF = 'single-keys-off';
/** What Enter and the space bar press. */
const PRESSED =
  'a[href], button, summary, [role="button"], [role="link"], [role="tab"], [role="switch"], [role="checkbox"], [role="option"]';
const PRESS_KEYS: readonly string[] = ['Enter', ' '];
const SCROLL_KEYS: readonly string[] = ['ArrowUp', 'ArrowDown', 'PageUp', 'PageDown', 'Home', 'End', ' '];

const registered = new Set<Registered>();
const watchers = new Set<() => void>();
let listed: readonly Shortcut[] = [];
let first: { key: string; atMs: number } | null = null;
let isListening = false;

function stored(): boolean {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return false;
  }
}
let singleKeysOff = stored();

function changed(): void {
  listed = [...registered].map(({ keys, label, group }) => ({ keys, label, group }));
  for (const watcher of watchers) watcher();
}

function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return event.metaKey || event.ctrlKey ? `mod+${key}` : key;
}

function isTyping(target: EventTarget | null): target is HTMLElement {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** Whether what has the focus does something with the key by itself. */
function isTheirs(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (PRESS_KEYS.includes(key) && target.matches(PRESSED)) return true;
  return SCROLL_KEYS.includes(key) && target !== document.body && scrolls(target);
}

function scrolls(element: HTMLElement): boolean {
  return element.scrollHeight > element.clientHeight && /auto|scroll/.test(getComputedStyle(element).overflowY);
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  const key = nameOf(event);
  const isPlain = !key.startsWith('mod+') && key !== 'Escape';
  if (isPlain && (singleKeysOff || isTyping(event.target) || isTheirs(event.target, key))) return;
  // What is behind an open dialog or menu does not move, and Escape is theirs.
  if ((isPlain || key === 'Escape') && document.querySelector('dialog[open], [role="menu"]')) return;
  // Escape leaves the field first: closing what is around it would throw away the words.
  if (key === 'Escape' && isTyping(event.target)) {
    event.target.blur();
    return;
  }
  const sequence = first !== null && performance.now() - first.atMs < SEQUENCE_MS ? `${first.key} ${key}` : null;
  first = null;
  const all = [...registered].reverse();
  const found = all.find(({ keys }) => keys === sequence) ?? all.find(({ keys }) => keys === key);
  if (found) {
    event.preventDefault();
    const from = location.href;
    found.run.current(event);
    // Who goes elsewhere by a key has left what they clicked before: it would take the next Enter, and lead back.
    if (location.href !== from && event.target instanceof HTMLElement) event.target.blur();
  } else if (isPlain && all.some(({ keys }) => keys.startsWith(`${key} `))) first = { key, atMs: performance.now() };
}

/** `run` is called while this component is there and `isOn`; the newest one wins. */
export function useShortcut(shortcut: Shortcut, run: (event: KeyboardEvent) => void, isOn = true): void {
  const latest = useRef(run);
  latest.current = run;
  const { keys, label, group } = shortcut;
  useEffect(() => {
    if (!isOn) return;
    if (!isListening) addEventListener('keydown', onKey);
    isListening = true;
    const entry: Registered = { keys, label, group, run: latest };
    registered.add(entry);
    changed();
    return () => {
      registered.delete(entry);
      changed();
    };
  }, [keys, label, group, isOn]);
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function useShortcuts(): readonly Shortcut[] {
  return useSyncExternalStore(watch, () => listed);
}

export function useSingleKeys(): [isOn: boolean, set: (isOn: boolean) => void] {
  const isOff = useSyncExternalStore(watch, () => singleKeysOff);
  return [
    !isOff,
    (isOn) => {
      singleKeysOff = !isOn;
      try {
        if (isOn) localStorage.removeItem(OFF);
        else localStorage.setItem(OFF, '1');
      } catch {
        // Then it holds until the page is closed.
      }
      changed();
    },
  ];
}
