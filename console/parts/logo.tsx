/** A dark sphere, lit from one side. */
export function Logo() {
  return (
    <span className="flex items-center gap-2 text-large font-semibold tracking-tight text-ink">
      <svg width="18" height="18" viewBox="0 0 32 32" aria-hidden="true">
        <circle cx="16" cy="16" r="14" className="fill-ink" />
        <path d="M16 2a14 14 0 1 1-9.9 23.9A15.5 15.5 0 0 0 16 2Z" className="fill-accent" />
      </svg>
      Darkspere
    </span>
  );
}
