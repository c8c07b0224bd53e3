// Where the person types.
import { ArrowUp } from 'lucide-react';
import { type Ref, useEffect, useImperativeHandle, useRef, useState } from 'react';
import { formatAddress } from '../../parts/format-address.ts';
import { GrowingField } from '../../parts/growing-field.tsx';
import { MAX_CHARACTERS, SegmentCount } from '../../parts/segment-count.tsx';
import { AddressDialog, Attached, AttachMenu, MAX_PICTURES } from './attach.tsx';

export type ComposerHandle = {
  focus(): void;
  /** Puts a text that was refused back where it can be changed; what is being typed stays behind it. */
  takeBack(body: string, mediaUrls: readonly string[]): void;
};

const KEYWORDS: readonly (readonly [word: string, does: string])[] = [
  ['STOP', 'Opts this phone out of all texts of this number'],
  ['START', 'Opts it in again'],
  ['HELP', 'Asks who this is'],
  ['MORE', 'Asks for the rest of an answer that was too long'],
];

export function Composer({
  phone,
  send,
  handle,
  startsHere,
}: {
  phone: string;
  send: (body: string, mediaUrls: readonly string[]) => void;
  handle: Ref<ComposerHandle>;
  /** The page is opened to type here. */
  startsHere: boolean;
}) {
  const [text, setText] = useState('');
  const [pictures, setPictures] = useState<readonly string[]>([]);
  const [isAsking, setAsking] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useImperativeHandle(
    handle,
    () => ({
      focus: () => field.current?.focus(),
      takeBack: (body, mediaUrls) => {
        setText((typed) => [body, typed].filter((part) => part !== '').join('\n'));
        setPictures((known) => [...mediaUrls, ...known].slice(0, MAX_PICTURES));
        field.current?.focus();
      },
    }),
    [],
  );
  useEffect(() => {
    // On a touch screen it would open the keyboard over what one came to read.
    if (startsHere && !matchMedia('(pointer: coarse)').matches) field.current?.focus();
  }, [startsHere]);

  const canSend = (text.trim() !== '' || pictures.length > 0) && text.length <= MAX_CHARACTERS;
  const submit = () => {
    if (!canSend) return;
    send(text, pictures);
    setText('');
    setPictures([]);
  };
  const attach = (url: string) => {
    setPictures((known) => [...known, url]);
    // What was chosen in gives the focus back to its button first.
    setTimeout(() => field.current?.focus());
  };
  const label = `Text from ${formatAddress(phone)}`;
  return (
    <>
      <form
        className="border-t border-line bg-panel px-3 pt-2.5 pb-2"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
          field.current?.focus();
        }}
      >
        <div className="flex flex-col rounded-bubble border border-line-strong bg-raised focus-within:border-focus focus-within:outline-1 focus-within:outline-focus">
          <Attached urls={pictures} remove={(at) => setPictures(pictures.toSpliced(at, 1))} />
          <div className="flex items-end">
            <GrowingField
              ref={field}
              value={text}
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event) => {
                // Enter also ends a composition, as of Japanese letters, and then it sends nothing.
                if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
                event.preventDefault();
                submit();
              }}
              aria-label={label}
              placeholder="Text"
              enterKeyHint="send"
              className="flex-1 text-[0.9375rem]/[1.3125rem] [--field-most:11rem] [--field-pad:0.5rem_0_0.5rem_0.875rem] pointer-coarse:text-[1rem]/[1.375rem] pointer-coarse:[--field-pad:0.6875rem_0_0.6875rem_0.875rem]"
              fieldClassName="outline-none"
            />
            <button
              type="submit"
              disabled={!canSend}
              aria-label="Send"
              title="Send (Enter)"
              className="m-1 flex size-7.5 shrink-0 items-center justify-center rounded-full bg-mine text-on-mine transition-opacity disabled:bg-hover disabled:text-ink-3 pointer-coarse:size-9"
            >
              <ArrowUp size={17} strokeWidth={2.4} aria-hidden />
            </button>
          </div>
        </div>
        <div className="mt-1.5 flex min-h-7 items-center gap-1">
          <AttachMenu count={pictures.length} attach={attach} askAddress={() => setAsking(true)} />
          {KEYWORDS.map(([word, does]) => (
            <button
              key={word}
              type="button"
              title={does}
              onClick={() => send(word, [])}
              className="h-6 rounded-full border border-line px-2 text-small font-medium text-ink-2 hover:border-line-strong hover:bg-hover hover:text-ink pointer-coarse:h-9 pointer-coarse:px-3"
            >
              {word}
            </button>
          ))}
        </div>
        <div className="min-h-4 px-1 pt-1">
          <SegmentCount by="person" text={text} pictures={pictures.length} />
        </div>
      </form>
      <AddressDialog isOpen={isAsking} close={() => setAsking(false)} attach={attach} />
    </>
  );
}
