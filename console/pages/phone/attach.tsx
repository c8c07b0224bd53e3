// Pictures that go with a text: one of ours, or an address.
import { ImageIcon, Link2, Paperclip, X } from 'lucide-react';
import { useState } from 'react';
import { Button, IconButton } from '../../parts/button.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Menu, MenuItem, MenuLabel, MenuLine } from '../../parts/menu.tsx';
import { hostOf, shownFrom, useSamples } from './pictures.ts';

/** Of one message, at every carrier we know. */
export const MAX_PICTURES = 10;

export function AttachMenu({
  count,
  attach,
  askAddress,
}: {
  count: number;
  attach: (url: string) => void;
  askAddress: () => void;
}) {
  const samples = useSamples();
  return (
    <Menu
      align="start"
      trigger={<IconButton icon={Paperclip} label="Attach a picture" disabled={count >= MAX_PICTURES} />}
    >
      {samples.length > 0 && <MenuLabel>Sample pictures</MenuLabel>}
      {samples.map(({ title, url, preview_url: preview }) => (
        <MenuItem key={url} onSelect={() => attach(url)}>
          <span className="flex items-center gap-2.5 py-0.5">
            <img src={preview} alt="" className="size-9 rounded-sm border border-line object-cover" />
            {title}
          </span>
        </MenuItem>
      ))}
      <MenuLine />
      <MenuItem icon={Link2} onSelect={() => askAddress()}>
        The address of a picture …
      </MenuItem>
    </Menu>
  );
}

/** Beside the composer, not in it: it is a form of its own. */
export function AddressDialog({
  isOpen,
  close,
  attach,
}: {
  isOpen: boolean;
  close: () => void;
  attach: (url: string) => void;
}) {
  return (
    <Dialog title="Attach a picture" isOpen={isOpen} onClose={close} className="max-w-md">
      <AddressForm
        attach={(url) => {
          attach(url);
          close();
        }}
      />
    </Dialog>
  );
}

function AddressForm({ attach }: { attach: (url: string) => void }) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  return (
    <form
      className="flex flex-col gap-2 p-4"
      onSubmit={(event) => {
        event.preventDefault();
        const url = URL.parse(text.trim());
        if (url?.protocol === 'http:' || url?.protocol === 'https:') attach(url.href);
        else setProblem('An address begins with http:// or https://.');
      }}
    >
      <label htmlFor="picture-address" className="text-ink-2">
        Where the carrier finds it. Its ending says what it is, like .png or .jpg.
      </label>
      <input
        id="picture-address"
        value={text}
        onChange={(event) => setText(event.target.value)}
        placeholder="https://example.com/picture.jpg"
        autoComplete="off"
        aria-invalid={problem !== null}
        aria-describedby={problem === null ? undefined : 'picture-problem'}
        className="h-9 rounded-md border border-line-strong bg-panel px-2.5"
      />
      {problem !== null && (
        <p id="picture-problem" role="alert" className="text-bad">
          {problem}
        </p>
      )}
      <Button type="submit" look="primary" className="mt-1 self-end">
        Attach
      </Button>
    </form>
  );
}

export function Attached({ urls, remove }: { urls: readonly string[]; remove: (at: number) => void }) {
  const samples = useSamples();
  if (urls.length === 0) return null;
  return (
    <ul aria-label="Attached pictures" className="flex flex-wrap gap-2 px-2.5 pt-2.5">
      {eachOnce(urls).map(({ key, url }, at) => {
        const path = shownFrom(url, samples);
        return (
          <li key={key} className="relative">
            {path === null ? (
              <span
                title={url}
                className="flex size-16 flex-col items-center justify-center gap-1 rounded-md border border-line bg-sunk p-1 text-small text-ink-2"
              >
                <ImageIcon size={15} aria-hidden />
                <span className="w-full truncate text-center">{hostOf(url)}</span>
              </span>
            ) : (
              <img src={path} alt="To be sent" className="size-16 rounded-md border border-line object-cover" />
            )}
            <button
              type="button"
              aria-label={`Remove picture ${at + 1}`}
              onClick={() => remove(at)}
              className="absolute -top-1.5 -right-1.5 flex size-5 items-center justify-center rounded-full border border-line-strong bg-raised text-ink-2 hover:text-ink pointer-coarse:size-7"
            >
              <X size={12} aria-hidden />
            </button>
          </li>
        );
      })}
    </ul>
  );
}

/** The same picture may be attached twice. */
function eachOnce(urls: readonly string[]): { key: string; url: string }[] {
  return urls.map((url, at) => ({ key: `${url} ${urls.slice(0, at).filter((other) => other === url).length}`, url }));
}
