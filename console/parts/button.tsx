import type { ComponentProps, ComponentType } from 'react';
import { Kbd } from './kbd.tsx';

type Icon = ComponentType<{ size?: number; strokeWidth?: number; 'aria-hidden'?: boolean; className?: string }>;
type Look = 'primary' | 'plain' | 'quiet' | 'danger' | 'hand';

const LOOKS: Readonly<Record<Look, string>> = {
  primary: 'bg-ink text-on-ink hover:bg-ink-2 border-transparent',
  plain: 'bg-raised text-ink border-line-strong hover:bg-hover',
  quiet: 'bg-transparent text-ink-2 border-transparent hover:bg-hover hover:text-ink',
  danger: 'bg-bad-soft text-bad border-transparent hover:border-bad',
  hand: 'bg-hand-soft text-hand border-transparent hover:border-hand',
};

export type ButtonProps = ComponentProps<'button'> & {
  readonly look?: Look;
  readonly icon?: Icon;
  /** The key that does the same. */
  readonly keyHint?: string;
};

/** A button says what it does in words; `icon` only helps to find it again. */
export function Button({ look = 'plain', icon: Icon, keyHint, className = '', children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      className={`inline-flex h-7 shrink-0 items-center justify-center gap-1.5 rounded-md border px-2.5 text-base font-medium whitespace-nowrap transition-colors duration-100 disabled:opacity-50 pointer-coarse:h-9 ${LOOKS[look]} ${className}`}
    >
      {Icon && <Icon size={14} strokeWidth={2} aria-hidden />}
      {children}
      {keyHint !== undefined && <Kbd className="-mr-1 pointer-coarse:hidden">{keyHint}</Kbd>}
    </button>
  );
}

export type IconButtonProps = Omit<ComponentProps<'button'>, 'children'> & {
  readonly icon: Icon;
  /** What it does, read aloud and shown on hover. */
  readonly label: string;
  readonly keyHint?: string;
  readonly look?: Look;
};

export function IconButton({ icon: Icon, label, keyHint, look = 'quiet', className = '', ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={keyHint === undefined ? label : `${label} (${keyHint})`}
      {...rest}
      className={`inline-flex size-7 shrink-0 items-center justify-center rounded-md border transition-colors duration-100 disabled:opacity-50 pointer-coarse:size-9 ${LOOKS[look]} ${className}`}
    >
      <Icon size={15} strokeWidth={1.9} aria-hidden />
    </button>
  );
}
