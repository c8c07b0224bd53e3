import { DropdownMenu } from 'radix-ui';
import type { ComponentType, ReactNode } from 'react';

type Icon = ComponentType<{ size?: number; 'aria-hidden'?: boolean; className?: string }>;

/** A menu under a button; arrow keys, typing and Escape work as everywhere. */
export function Menu({
  trigger,
  children,
  align = 'end',
}: {
  trigger: ReactNode;
  children: ReactNode;
  align?: 'start' | 'end';
}) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align={align}
          sideOffset={4}
          collisionPadding={8}
          className="scroll-y animate-appear z-40 max-h-[70vh] min-w-44 rounded-lg border border-line bg-raised p-1 text-ink shadow-float"
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

const ITEM =
  'flex min-h-7 cursor-pointer items-center gap-2 rounded-md px-2 py-1 outline-none select-none data-[highlighted]:bg-hover data-[disabled]:cursor-not-allowed data-[disabled]:opacity-50 pointer-coarse:min-h-9';

export function MenuItem({
  icon: Icon,
  children,
  hint,
  onSelect,
  isDisabled = false,
  tone = 'text-ink',
}: {
  icon?: Icon;
  children: ReactNode;
  hint?: ReactNode;
  onSelect: () => void;
  isDisabled?: boolean;
  tone?: string;
}) {
  return (
    <DropdownMenu.Item disabled={isDisabled} onSelect={onSelect} className={`${ITEM} ${tone}`}>
      {Icon && <Icon size={14} className="shrink-0 text-ink-3" aria-hidden />}
      <span className="min-w-0 flex-1">{children}</span>
      {hint !== undefined && <span className="text-small text-ink-3">{hint}</span>}
    </DropdownMenu.Item>
  );
}

/** One of several: the chosen one has a dot, which is read aloud too. */
export function MenuChoice<T extends string>({
  value,
  options,
  onChange,
}: {
  value: T;
  options: readonly { readonly value: T; readonly label: string; readonly icon?: Icon }[];
  onChange: (value: T) => void;
}) {
  return (
    <DropdownMenu.RadioGroup value={value} onValueChange={(next) => onChange(next as T)}>
      {options.map(({ value: option, label, icon: Icon }) => (
        <DropdownMenu.RadioItem key={option} value={option} className={ITEM}>
          {Icon && <Icon size={14} className="shrink-0 text-ink-3" aria-hidden />}
          <span className="flex-1">{label}</span>
          <DropdownMenu.ItemIndicator className="size-1.5 rounded-full bg-accent" />
        </DropdownMenu.RadioItem>
      ))}
    </DropdownMenu.RadioGroup>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <DropdownMenu.Label className="px-2 pt-1.5 pb-1 text-small text-ink-3">{children}</DropdownMenu.Label>;
}

export function MenuLine() {
  return <DropdownMenu.Separator className="-mx-1 my-1 h-px bg-line" />;
}
