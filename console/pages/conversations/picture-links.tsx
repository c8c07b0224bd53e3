// Pictures that an agent sends along, as links. Where they are is the agent's word: nothing is loaded from there unless somebody opens
// it, and then it is not told who they are or where they came from.
import { ImageIcon } from 'lucide-react';
import type { Message } from '../../../src/http/contract.ts';

/** Of a message that goes out. */
export function picturesOf({ parts }: Pick<Message, 'parts'>): readonly string[] {
  return parts.flatMap(({ media_urls: urls }) => urls);
}

export function PictureLinks({ urls, className = '' }: { urls: readonly string[]; className?: string }) {
  if (urls.length === 0) return null;
  return (
    <ul aria-label="Pictures" className={`flex max-w-full flex-wrap gap-1 ${className}`}>
      {[...new Set(urls)].map((url) => (
        <li key={url} className="max-w-full min-w-0">
          <PictureLink url={url} />
        </li>
      ))}
    </ul>
  );
}

const CHIP =
  'flex h-6 max-w-72 min-w-0 items-center gap-1.5 rounded-md border border-line bg-panel px-2 text-small text-ink-2 pointer-coarse:h-9';

function PictureLink({ url }: { url: string }) {
  const { protocol, host, pathname } = URL.parse(url) ?? { protocol: '', host: '', pathname: '' };
  if (protocol !== 'https:' && protocol !== 'http:')
    return (
      <span title="No address of the web: it cannot be opened." className={CHIP}>
        <ImageIcon size={13} className="shrink-0 text-ink-3" aria-hidden />
        <bdi className="truncate font-mono">{url}</bdi>
      </span>
    );
  const name = pathname.split('/').findLast((part) => part !== '');
  return (
    <a
      href={url}
      target="_blank"
      rel="noreferrer noopener"
      title={url}
      className={`${CHIP} hover:border-line-strong hover:text-ink`}
    >
      <ImageIcon size={13} className="shrink-0 text-ink-3" aria-hidden />
      <span className="sr-only">A picture at </span>
      <span className="truncate">{host}</span>
      {/* Where it leads matters more than what it is called. */}
      {name !== undefined && <span className="shrink-[999] truncate font-medium text-accent">{name}</span>}
    </a>
  );
}
