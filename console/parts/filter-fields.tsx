// What lists are narrowed down with.
import { ChevronDown, Search, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { Menu, MenuChoice } from './menu.tsx';
import { useShortcut } from './shortcuts.tsx';

const TYPING_MS = 250;
/** The state of the history with which somebody comes to a page to type into its field. */
export const WANTS_SEARCH = { wantsSearch: true } as const;
export const wantsSearch = (state: unknown): boolean => (state as typeof WANTS_SEARCH | null)?.wantsSearch === true;

/** Finds while one types; `/` leads there. */
export function SearchField({
  label,
  group,
  clear,
  isWanted = false,
  value,
  onChange,
}: {
  label: string;
  /** Of its key in the help. */
  group: string;
  /** What its button says that empties it. */
  clear: string;
  /** Whoever comes to the page comes to type here. */
  isWanted?: boolean;
  value: string;
  onChange: (value: string) => void;
}) {
  const [text, setText] = useState(value);
  const ref = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (isWanted) ref.current?.focus();
  }, [isWanted]);
  // Who is on another page by then must not be brought back.
  useEffect(() => () => clearTimeout(timer.current), []);
  useShortcut({ keys: '/', label, group }, () => ref.current?.focus());
  const type = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(next.trim()), TYPING_MS);
  };
  return (
    <div className="relative">
      <Search size={14} aria-hidden className="pointer-events-none absolute top-2 left-2.5 text-ink-3" />
      <input
        ref={ref}
        type="search"
        aria-label={label}
        placeholder={label}
        value={text}
        onChange={(event) => type(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          // The browser would empty it.
          event.preventDefault();
          event.currentTarget.blur();
        }}
        className="h-[30px] w-full rounded-md border border-line bg-page pr-7 pl-8 hover:border-line-strong [&::-webkit-search-cancel-button]:hidden"
      />
      {text !== '' && (
        <button
          type="button"
          aria-label={clear}
          onClick={() => type('')}
          className="absolute top-[3px] right-[3px] flex size-6 items-center justify-center rounded-sm text-ink-3 hover:bg-hover hover:text-ink"
        >
          <X size={13} aria-hidden />
        </button>
      )}
    </div>
  );
}

/** One of several, in a menu under a chip. */
export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: string;
  options: readonly { readonly value: T; readonly label: string }[];
  onChange: (value: T) => void;
}) {
  const chosen = options.find((option) => option.value === value);
  const isSet = value !== '';
  return (
    <Menu
      align="start"
      trigger={
        <button
          type="button"
          className={`flex h-6 items-center gap-1 rounded-full border px-2.5 text-small font-medium pointer-coarse:h-8 ${isSet ? 'border-transparent bg-selected text-ink' : 'border-line text-ink-2 hover:border-line-strong'}`}
        >
          <span className="sr-only">{label}: </span>
          {chosen?.label ?? label}
          <ChevronDown size={12} aria-hidden className="text-ink-3" />
        </button>
      }
    >
      <MenuChoice value={value as T} options={options} onChange={onChange} />
    </Menu>
  );
}
