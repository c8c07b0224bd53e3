// Short news of what somebody has just done: said once, gone by itself, read aloud.
import { Check, CircleAlert, X } from 'lucide-react';
import { useSyncExternalStore } from 'react';

/** What can still be done about it. */
type Offer = { readonly label: string; readonly run: () => void };
type Toast = {
  readonly id: number;
  readonly tone: 'good' | 'bad';
  readonly text: string;
  readonly offer?: Offer | undefined;
};

const SHOWN_MS = 6_000;
/** Whoever wants to undo something has to read, think and reach it. */
const OFFERED_MS = 12_000;
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

export function toast(text: string, tone: Toast['tone'] = 'good', offer?: Offer): void {
  const id = nextId++;
  put([...toasts.slice(-2), { id, tone, text, offer }]);
  setTimeout(() => dismiss(id), offer ? OFFERED_MS : SHOWN_MS);
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
      {shown.map(({ id, tone, text, offer }) => (
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
          {offer && (
            <button
              type="button"
              onClick={() => {
                dismiss(id);
                offer.run();
              }}
              className="shrink-0 rounded-sm px-1 font-medium text-accent underline underline-offset-2 hover:text-ink"
            >
              {offer.label}
            </button>
          )}
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
