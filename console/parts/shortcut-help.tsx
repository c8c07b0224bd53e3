import { Dialog } from './dialog.tsx';
import { Kbd, MOD } from './kbd.tsx';
import { type Shortcut, useShortcuts, useSingleKeys } from './shortcuts.tsx';

const NAMES: Readonly<Record<string, string>> = { Escape: 'Esc', Enter: '↵', ArrowUp: '↑', ArrowDown: '↓', mod: MOD };

function Keys({ keys }: { keys: string }) {
  return (
    <span className="flex gap-1">
      {keys.split(/[ +]/).map((key) => (
        <Kbd key={key}>{NAMES[key] ?? key}</Kbd>
      ))}
    </span>
  );
}

/** Every key that does something on this page. */
export function ShortcutHelp({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const shortcuts = useShortcuts();
  const [areOn, setOn] = useSingleKeys();
  const groups = Map.groupBy(shortcuts, ({ group }: Shortcut) => group);
  return (
    <Dialog title="Keyboard" isOpen={isOpen} onClose={onClose} className="max-w-xl">
      <div className="scroll-y grid gap-x-8 gap-y-4 p-4 sm:grid-cols-2">
        {[...groups].map(([group, entries]) => (
          <section key={group}>
            <h3 className="mb-1.5 text-small text-ink-3">{group}</h3>
            <ul className="flex flex-col gap-1">
              {entries.map(({ keys, label }) => (
                <li key={keys} className="flex items-center justify-between gap-4">
                  <span>{label}</span>
                  <Keys keys={keys} />
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
      <label className="flex items-center gap-2 border-t border-line px-4 py-2.5 text-ink-2">
        <input
          type="checkbox"
          className="accent-accent"
          checked={areOn}
          onChange={(event) => setOn(event.target.checked)}
        />
        Single letters do something
      </label>
    </Dialog>
  );
}
