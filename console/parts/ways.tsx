// How to begin, in a few ways side by side, each with what to click or to paste.
import type { ReactNode } from 'react';
import { CopyButton } from './copy-button.tsx';

export function Ways({ children }: { children: ReactNode }) {
  return (
    <ol className="mt-5 grid gap-px overflow-hidden rounded-lg border border-line bg-line @3xl:grid-cols-3">
      {children}
    </ol>
  );
}

export function Way({ title, children, action }: { title: string; children: ReactNode; action: ReactNode }) {
  return (
    <li className="flex min-w-0 flex-col bg-panel p-4">
      <h2 className="text-large font-semibold">{title}</h2>
      <p className="mt-1 text-ink-2">{children}</p>
      <div className="mt-auto min-w-0 pt-4">{action}</div>
    </li>
  );
}

/** A command for a terminal. */
export function Command({ text }: { text: string }) {
  return (
    <div className="flex items-start gap-2 rounded-md border border-line bg-sunk py-0.5 pr-0.5 pl-2.5 font-mono text-small">
      <span className="py-1.5 text-ink-3 select-none" aria-hidden>
        $
      </span>
      <code className="min-w-0 flex-1 py-1.5 wrap-anywhere whitespace-pre-wrap">{text}</code>
      <CopyButton text={text} label="Copy the command" />
    </div>
  );
}
