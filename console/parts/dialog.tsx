import { X } from 'lucide-react';
import { type ReactNode, useEffect, useRef } from 'react';
import { IconButton } from './button.tsx';

/** The platform's own dialog: it traps the focus, closes with Escape, and gives the focus back. */
export function Dialog({
  title,
  isOpen,
  onClose,
  children,
  className = 'max-w-lg',
  isBare = false,
}: {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
  className?: string;
  /** Without a head of its own; the title is only read aloud. */
  isBare?: boolean;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (isOpen && !dialog.open) {
      dialog.showModal();
      // Where there is something to type in, that is what it was opened for.
      dialog.querySelector<HTMLElement>('input:not([type=checkbox]), textarea')?.focus();
    }
    if (!isOpen && dialog.open) dialog.close();
  }, [isOpen]);
  return (
    <dialog
      ref={ref}
      aria-label={title}
      onClose={onClose}
      // A click beside it closes it too.
      closedby="any"
      className={`m-auto mt-[12vh] max-h-[76vh] w-[calc(100vw-2rem)] rounded-lg border border-line bg-raised p-0 text-ink shadow-float ${className}`}
    >
      {isOpen && (
        <div className="flex max-h-[76vh] flex-col">
          {!isBare && (
            <header className="flex items-center justify-between border-b border-line py-2 pr-2 pl-4">
              <h2 className="text-large font-semibold">{title}</h2>
              <IconButton icon={X} label="Close" keyHint="Esc" onClick={onClose} />
            </header>
          )}
          {children}
        </div>
      )}
    </dialog>
  );
}
