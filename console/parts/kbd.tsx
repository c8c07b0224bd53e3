import type { ReactNode } from 'react';

/** A key on the keyboard. */
export function Kbd({ children, className = '' }: { children: ReactNode; className?: string }) {
  return (
    <kbd
      className={`inline-flex h-[18px] min-w-[18px] items-center justify-center rounded-sm border border-line-strong bg-sunk px-1 font-sans text-small text-ink-3 ${className}`}
    >
      {children}
    </kbd>
  );
}

const IS_APPLE = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.platform);
/** What the key is called on this machine. */
export const MOD = IS_APPLE ? '⌘' : 'Ctrl';
