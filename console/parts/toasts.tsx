// Short news of what somebody has just done: said once, gone by itself, read aloud.
import { Check, CircleAlert, X } from 'lucide-react';
import { useSyncExternalStore } from 'react';

type Toast = { readonly id: number; readonly tone: 'good' | 'bad'; readonly text: string };

const SHOWN_MS = 6_000;
let toasts: readonly Toast[] = [];
let nextId = 1;
const watchers = new Set<() => void>();

function put(next: readonly Toast[]): void {
  toasts = next;
  for (const watcher of watchers) watcher();
}

function dismiss(id: number): void {
  put(toasts.filter((toast) => toast.id !== id));
}

export function toast(text: string, tone: Toast['tone'] = 'good'): void {
  const id = nextId++;
  put([...toasts.slice(-2), { id, tone, text }]);
  setTimeout(() => dismiss(id), SHOWN_MS);
}

/** For a change that failed: the server's own words. */
export function toastError(error: unknown): void {
  toast(error instanceof Error ? error.message : 'That did not work.', 'bad');
}

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div
      aria-live="polite"
      role="status"
      className="pointer-events-none fixed inset-x-0 bottom-16 z-50 flex flex-col items-center gap-2 px-4 md:bottom-5"
    >
      {shown.map(({ id, tone, text }) => (
        <div
          key={id}
          className="animate-appear pointer-events-auto flex max-w-md items-center gap-2 rounded-lg border border-line bg-raised py-2 pr-2 pl-3 text-ink shadow-float"
        >
          {tone === 'good' ? (
            <Check size={15} className="shrink-0 text-good" aria-hidden />
          ) : (
            <CircleAlert size={15} className="shrink-0 text-bad" aria-hidden />
          )}
          <span className="min-w-0">{text}</span>
          <button
            type="button"
            aria-label="Dismiss"
            onClick={() => dismiss(id)}
            className="ml-1 rounded-sm p-1 text-ink-3 hover:bg-hover hover:text-ink"
          >
            <X size={13} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  );
}
