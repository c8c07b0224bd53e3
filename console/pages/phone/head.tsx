// Who texts whom: the person's number, which can be changed, and the number of ours.
import { ArrowRight, ChevronDown, Ellipsis, MessagesSquare, Pencil, Shuffle, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import type { Instance } from '../../../src/http/contract.ts';
import { IconButton } from '../../parts/button.tsx';
import { formatAddress } from '../../parts/format-address.ts';
import { Kbd } from '../../parts/kbd.tsx';
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from '../../parts/menu.tsx';
import { Address } from '../../parts/phone-number.tsx';
import { readNumber, somebodyNew } from './number.ts';
import type { Line } from './phones.ts';

export function Head({
  line,
  keyHint,
  taken,
  numbers,
  change,
  close,
}: {
  line: Line;
  /** The key that leads here. */
  keyHint: string;
  /** Numbers that this phone must not have, with the reason. */
  taken: ReadonlyMap<string, string>;
  numbers: Instance['numbers'];
  change: (line: Partial<Line>) => void;
  /** Null for the only phone there is. */
  close: (() => void) | null;
}) {
  const [, navigate] = useLocation();
  const [isEditing, setEditing] = useState(false);
  // A menu that closes gives the focus back to its button, and the field needs it after that.
  const editNext = () => setTimeout(() => setEditing(true));
  return (
    <header className="flex min-h-12 items-center gap-1 border-b border-line py-1.5 pr-2 pl-3">
      {isEditing ? (
        <NumberField
          phone={line.phone}
          taken={taken}
          done={(phone) => {
            setEditing(false);
            if (phone !== line.phone) change({ phone });
          }}
        />
      ) : (
        <h2 className="flex min-w-0 flex-1 items-center gap-1.5">
          <button
            type="button"
            onClick={() => setEditing(true)}
            title="Change the number of this phone"
            aria-label={`This phone is ${formatAddress(line.phone)}. Change its number`}
            className="group/number flex items-center gap-1.5 rounded-md py-1 font-semibold hover:text-accent"
          >
            <Address address={line.phone} />
            <Pencil size={11} className="text-ink-3 group-hover/number:text-accent" aria-hidden />
          </button>
          <ArrowRight size={13} className="shrink-0 text-ink-3" aria-label="texts" />
          <OurNumber line={line} numbers={numbers} change={change} />
        </h2>
      )}
      <span title={`${keyHint} to write here, Escape to leave`} className="mx-1 pointer-coarse:hidden" aria-hidden>
        <Kbd>{keyHint}</Kbd>
      </span>
      <Menu trigger={<IconButton icon={Ellipsis} label={`More about ${formatAddress(line.phone)}`} />}>
        <MenuItem
          icon={MessagesSquare}
          onSelect={() => navigate(`/conversations?phone=${encodeURIComponent(line.phone)}`)}
        >
          Its conversations
        </MenuItem>
        <MenuLine />
        <MenuItem icon={Shuffle} onSelect={() => change({ phone: somebodyNew() })}>
          Be somebody new
        </MenuItem>
        <MenuItem icon={Pencil} onSelect={editNext}>
          Change the number
        </MenuItem>
        {close && (
          <MenuItem icon={X} onSelect={close}>
            Close this phone
          </MenuItem>
        )}
      </Menu>
    </header>
  );
}

function OurNumber({
  line,
  numbers,
  change,
}: {
  line: Line;
  numbers: Instance['numbers'];
  change: (line: Partial<Line>) => void;
}) {
  if (numbers.length < 2) return <Address address={line.ours} className="truncate text-ink-2" />;
  return (
    <Menu
      align="start"
      trigger={
        <button
          type="button"
          aria-label={`It texts ${formatAddress(line.ours)}. Text another number`}
          className="flex min-w-0 items-center gap-1 rounded-md py-1 text-ink-2 hover:text-accent"
        >
          <Address address={line.ours} className="truncate" />
          <ChevronDown size={13} className="shrink-0" aria-hidden />
        </button>
      }
    >
      <MenuLabel>Our numbers</MenuLabel>
      <MenuChoice
        value={line.ours}
        onChange={(ours) => change({ ours })}
        options={numbers.map(({ address, is_active: isActive, agent_type: type }) => ({
          value: address,
          label: `${formatAddress(address)} · ${isActive ? type : 'switched off'}`,
        }))}
      />
    </Menu>
  );
}

function NumberField({
  phone,
  taken,
  done,
}: {
  phone: string;
  taken: ReadonlyMap<string, string>;
  /** With the number as it was, when nothing was changed. */
  done: (phone: string) => void;
}) {
  const [text, setText] = useState(formatAddress(phone));
  const [problem, setProblem] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const save = () => {
    const read = readNumber(text, taken);
    if ('number' in read) done(read.number);
    else setProblem(read.problem);
  };
  return (
    <form
      className="min-w-0 flex-1"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <input
        ref={field}
        type="tel"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setProblem(null);
        }}
        onBlur={save}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          event.stopPropagation();
          done(phone);
        }}
        aria-label="The number of this phone"
        aria-invalid={problem !== null}
        aria-describedby={problem === null ? undefined : `problem-of-${phone}`}
        autoComplete="off"
        className={`figures h-7 w-44 max-w-full rounded-md border bg-raised px-2 pointer-coarse:h-9 ${problem === null ? 'border-line-strong' : 'border-bad'}`}
      />
      {problem !== null && (
        <p id={`problem-of-${phone}`} role="alert" className="pt-1 text-small text-bad">
          {problem}
        </p>
      )}
    </form>
  );
}
