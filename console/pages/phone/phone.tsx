// One phone: who it is, what is on its screen, and where its person types.
import { type Ref, useImperativeHandle, useRef } from 'react';
import type { Instance } from '../../../src/http/contract.ts';
import { formatAddress } from '../../parts/format-address.ts';
import { Composer, type ComposerHandle } from './composer.tsx';
import { Head } from './head.tsx';
import type { Line } from './phones.ts';
import { Thread } from './thread.tsx';
import { useTexts } from './use-texts.ts';

export function Phone({
  line,
  keyHint,
  taken,
  numbers,
  change,
  close,
  handle,
  startsHere,
}: {
  line: Line;
  keyHint: string;
  taken: ReadonlyMap<string, string>;
  numbers: Instance['numbers'];
  change: (line: Partial<Line>) => void;
  close: (() => void) | null;
  handle: Ref<{ focus(): void }>;
  startsHere: boolean;
}) {
  const composer = useRef<ComposerHandle>(null);
  const texts = useTexts(line.phone, line.ours);
  useImperativeHandle(handle, () => ({ focus: () => composer.current?.focus() }), []);
  const send = (body: string, mediaUrls: readonly string[]) => {
    texts.send(body, mediaUrls);
    composer.current?.focus();
  };
  return (
    <section
      aria-label={`Phone ${formatAddress(line.phone)}`}
      className="flex h-full min-h-0 flex-col overflow-hidden bg-panel @3xl:rounded-lg @3xl:border @3xl:border-line"
    >
      <Head line={line} keyHint={keyHint} taken={taken} numbers={numbers} change={change} close={close} />
      <Thread
        phone={line.phone}
        ours={line.ours}
        texts={texts}
        send={send}
        edit={({ body, mediaUrls }) => composer.current?.takeBack(body, mediaUrls)}
      />
      <Composer phone={line.phone} send={send} handle={composer} startsHere={startsHere} />
    </section>
  );
}
