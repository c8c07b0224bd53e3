// The phone: to be somebody who texts us, without a real phone, and to see what happens when something goes wrong.
import { Plus, Smartphone, Zap } from 'lucide-react';
import { useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import type { Instance } from '../../src/http/contract.ts';
import { ApiError } from '../api.ts';
import { Button } from '../parts/button.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { PanelEmpty, PanelError, PanelLoading } from '../parts/panel-states.tsx';
import { useInstance } from '../parts/shell.tsx';
import { useShortcut } from '../parts/shortcuts.tsx';
import { ArmedFaults, FaultList } from './phone/fault-panel.tsx';
import { useFaults } from './phone/faults.ts';
import { NoSimulator } from './phone/no-simulator.tsx';
import { Phone } from './phone/phone.tsx';
import { SLOTS, type Slot, usePhones } from './phone/phones.ts';
import { Switcher } from './phone/switcher.tsx';

const KEYS: Readonly<Record<Slot, string>> = { first: '1', second: '2' };

export default function PhonePage() {
  const instance = useInstance();
  if (instance.isPending) return <PanelLoading what="the numbers" className="h-full" />;
  if (!instance.data) return <PanelError error={instance.error} retry={() => instance.refetch()} className="h-full" />;
  if (instance.data.carrier === 'twilio') return <NoSimulator instance={instance.data} />;
  return <Simulated instance={instance.data} />;
}

function Simulated({ instance }: { instance: Instance }) {
  const desk = useFaults();
  const isOff = desk.query.error instanceof ApiError && desk.query.error.code === 'simulator_off';
  if (isOff) return <NoSimulator instance={instance} />;
  if (instance.numbers.length === 0) {
    return (
      <PanelEmpty title="There is no number to text" className="h-full">
        Add one of ours with <code className="font-mono">npx darkspere numbers set +15550001111</code>.
      </PanelEmpty>
    );
  }
  return <Phones instance={instance} desk={desk} />;
}

function Phones({ instance, desk }: { instance: Instance; desk: ReturnType<typeof useFaults> }) {
  const { lines, change, openSecond, close } = usePhones(instance.numbers);
  const [front, setFront] = useState<Slot>('first');
  const [isChoosing, setChoosing] = useState(false);
  const panel = useRef<HTMLElement>(null);
  const handles = {
    first: useRef<{ focus(): void }>(null),
    second: useRef<{ focus(): void }>(null),
  };
  const write = (slot: Slot) => {
    // It has to be there, and in front, before it can have the focus.
    flushSync(() => {
      if (slot === 'second' && lines.second === null) openSecond();
      setFront(slot);
    });
    handles[slot].current?.focus();
  };
  const ask = () => {
    const first = panel.current?.querySelector<HTMLElement>('[role=switch]');
    if (first?.checkVisibility()) first.focus();
    else setChoosing(true);
  };
  const group = 'Phone';
  useShortcut({ keys: '1', label: 'Write on the first phone', group }, () => write('first'));
  useShortcut({ keys: '2', label: 'Write on the second phone', group }, () => write('second'));
  useShortcut({ keys: 'f', label: 'What should go wrong?', group }, ask);
  useShortcut({ keys: 'Escape', label: 'Leave the phone', group }, () => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  });

  const taken = (slot: Slot) => {
    const other = lines[slot === 'first' ? 'second' : 'first'];
    return new Map([
      ...instance.numbers.map(({ address }) => [address, 'That is one of our own numbers.'] as const),
      ...(other ? ([[other.phone, 'The other phone has this number.']] as const) : []),
    ]);
  };
  const inFront = lines[front] === null ? 'first' : front;
  return (
    <div className="@container flex h-full flex-col">
      <header className="flex min-h-12 items-center gap-2 border-b border-line bg-panel px-3 md:px-4">
        <h1 className={`text-large font-semibold ${lines.second ? 'sr-only @3xl:not-sr-only' : ''}`}>Phone</h1>
        <p className={`hidden min-w-0 flex-1 truncate text-ink-3 ${lines.second ? '@3xl:block' : '@2xl:block'}`}>
          Text as somebody would: the carrier is simulated.
        </p>
        {lines.second ? (
          <Switcher lines={[lines.first, lines.second]} inFront={inFront} show={setFront} />
        ) : (
          <span className="flex-1 @2xl:hidden" />
        )}
        <Button icon={Zap} onClick={ask} className="@5xl:hidden" aria-label="What should go wrong?">
          <span className={lines.second ? 'hidden @2xl:inline' : ''}>What should go wrong?</span>
        </Button>
        {lines.second === null && (
          <Button icon={Plus} onClick={() => write('second')} aria-label="Open a second phone">
            <span className="hidden @md:inline">Second phone</span>
            <Smartphone size={14} className="@md:hidden" aria-hidden />
          </Button>
        )}
      </header>
      <ArmedFaults desk={desk} />
      <div className="flex min-h-0 flex-1">
        <div className="flex min-h-0 min-w-0 flex-1 justify-center gap-4 @3xl:p-4">
          {SLOTS.map((slot) => {
            const line = lines[slot];
            if (line === null) return null;
            return (
              <div
                key={slot}
                className={`min-w-0 flex-1 @3xl:block @3xl:max-w-[26.5rem] ${slot === inFront ? '' : 'hidden'}`}
              >
                <Phone
                  key={line.phone}
                  line={line}
                  keyHint={KEYS[slot]}
                  taken={taken(slot)}
                  numbers={instance.numbers}
                  change={(changed) => change(slot, changed)}
                  close={lines.second === null ? null : () => close(slot)}
                  handle={handles[slot]}
                  startsHere={slot === 'first'}
                />
              </div>
            );
          })}
        </div>
        <aside
          ref={panel}
          aria-labelledby="trouble"
          className="scroll-y hidden w-[19.5rem] shrink-0 border-l border-line bg-panel @5xl:block"
        >
          <h2 id="trouble" className="px-4 pt-4 pb-3 text-large font-semibold">
            What should go wrong?
          </h2>
          <FaultList desk={desk} />
        </aside>
      </div>
      <Dialog title="What should go wrong?" isOpen={isChoosing} onClose={() => setChoosing(false)} className="max-w-md">
        <div className="scroll-y min-h-0">
          <FaultList desk={desk} />
        </div>
      </Dialog>
    </div>
  );
}
