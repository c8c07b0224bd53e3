import { Link } from 'wouter';

/** Which stretch of time a page shows: each a link, so that the address keeps it. */
export function WindowChoice<Value extends string>({
  windows,
  current,
  href,
}: {
  windows: readonly { readonly value: Value; readonly label: string }[];
  current: Value;
  href: (value: Value) => string;
}) {
  return (
    <nav aria-label="Time shown" className="flex shrink-0 rounded-md border border-line bg-sunk p-0.5">
      {windows.map(({ value, label }) => (
        <Link
          key={value}
          href={href(value)}
          aria-current={value === current ? 'true' : undefined}
          className={`rounded-sm px-2.5 py-0.5 font-medium whitespace-nowrap pointer-coarse:py-2 ${value === current ? 'bg-raised text-ink shadow-[0_0_0_1px_var(--color-line)]' : 'text-ink-2 hover:text-ink'}`}
        >
          {label}
        </Link>
      ))}
    </nav>
  );
}
