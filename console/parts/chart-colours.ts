// The tokens as a canvas understands them. It takes no `var()` and no `light-dark()`, and it does not follow a theme by itself.
const NAMES = ['ink', 'ink-2', 'ink-3', 'line', 'accent', 'accent-pale', 'bad', 'page'] as const;
export type Colours = Readonly<Record<(typeof NAMES)[number], string>>;

/** As the theme is now. */
export function readColours(): Colours {
  const probe = document.createElement('i');
  document.body.append(probe);
  const resolve = (value: string) => {
    probe.style.color = value;
    return getComputedStyle(probe).color;
  };
  const colours = Object.fromEntries(NAMES.map((name) => [name, resolve(`var(--color-${name})`)]));
  probe.remove();
  return colours as Colours;
}

/** Calls back when they may have changed: the system's theme did, or somebody chose one. */
export function watchColours(changed: () => void): () => void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  addEventListener('themechange', changed);
  system.addEventListener('change', changed);
  return () => {
    removeEventListener('themechange', changed);
    system.removeEventListener('change', changed);
  };
}
