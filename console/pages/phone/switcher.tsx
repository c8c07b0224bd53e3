// Between two phones where there is room for one. The one behind says when something came.
import { useEffect, useState } from 'react';
import { listenLive } from '../../live.ts';
import { formatAddress } from '../../parts/format-address.ts';
import { type Line, SLOTS, type Slot } from './phones.ts';

export function Switcher({
  lines: [first, second],
  inFront,
  show,
}: {
  lines: readonly [first: Line, second: Line];
  inFront: Slot;
  show: (slot: Slot) => void;
}) {
  const lines = { first, second };
  const behind = lines[inFront === 'first' ? 'second' : 'first'].phone;
  const [rang, setRang] = useState<string | null>(null);
  useEffect(() => {
    setRang(null);
    return listenLive({
      phone: ({ type, message }) => {
        if (type === 'text-out' && message.to === behind) setRang(behind);
      },
    });
  }, [behind]);
  return (
    <fieldset aria-label="Phones" className="flex min-w-0 flex-1 gap-1 @3xl:hidden">
      {SLOTS.map((slot) => {
        const { phone } = lines[slot];
        return (
          <button
            key={slot}
            type="button"
            aria-pressed={slot === inFront}
            onClick={() => show(slot)}
            className={`figures flex h-7 flex-1 items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap pointer-coarse:h-9 ${slot === inFront ? 'bg-selected text-ink' : 'text-ink-2 hover:bg-hover'}`}
          >
            {formatAddress(phone)}
            {rang === phone && <span className="rounded-full bg-accent px-1.5 text-small text-on-ink">new</span>}
          </button>
        );
      })}
    </fieldset>
  );
}
