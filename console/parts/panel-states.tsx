// What a panel shows when it has nothing to show: it is coming, there is none, or it could not be read. A number that could
// not be read is never drawn as 0.
import { CircleAlert, RotateCw } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { ApiError } from '../api.ts';
import { Button } from './button.tsx';

export function PanelLoading({ what, className = '' }: { what: string; className?: string }) {
  return (
    <div role="status" className={`flex items-center justify-center p-6 text-ink-3 ${className}`}>
      {/* Only what takes a while says so: most things are there before anybody could read it. */}
      <span className="animate-[appear_300ms_400ms_both]">Reading {what} …</span>
    </div>
  );
}

export function PanelEmpty({
  title,
  isPage = false,
  children,
  action,
  className = '',
}: {
  title: string;
  /** It is all that the page has, so its title is the page's. */
  isPage?: boolean;
  children?: ReactNode;
  action?: ReactNode;
  className?: string;
}) {
  const Title = isPage ? 'h1' : 'p';
  return (
    <div className={`flex flex-col items-center justify-center gap-1.5 p-8 text-center ${className}`}>
      <Title className="text-large font-medium text-ink">{title}</Title>
      {children && <div className="max-w-sm text-balance text-ink-2">{children}</div>}
      {action && <div className="mt-3">{action}</div>}
    </div>
  );
}

export function PanelError({
  error,
  retry,
  className = '',
}: {
  error: unknown;
  /** May tell when it is done. */
  retry: () => unknown;
  className?: string;
}) {
  const [isTrying, setTrying] = useState(false);
  const tryAgain = async () => {
    if (isTrying) return;
    setTrying(true);
    try {
      await retry();
    } finally {
      setTrying(false);
    }
  };
  const { code, traceId, docUrl } =
    error instanceof ApiError ? error : { code: 'console', traceId: null, docUrl: null };
  return (
    <div role="alert" className={`flex flex-col items-center justify-center gap-2 p-8 text-center ${className}`}>
      <CircleAlert size={18} className="text-bad" aria-hidden />
      <p className="max-w-md font-medium text-ink">
        {error instanceof Error ? error.message : 'It could not be read.'}
      </p>
      <p className="text-small text-ink-3">
        {docUrl ? (
          <a className="underline underline-offset-2 hover:text-ink" href={docUrl} target="_blank" rel="noreferrer">
            {code}
          </a>
        ) : (
          code
        )}
        {traceId && <span className="font-mono"> · {traceId}</span>}
      </p>
      <Button icon={RotateCw} onClick={() => void tryAgain()} aria-disabled={isTrying} className="mt-1">
        {isTrying ? 'Trying …' : 'Try again'}
      </Button>
    </div>
  );
}

/** Above what was read earlier and could not be read again: it may be old. */
export function StaleNote({ error, retry }: { error: unknown; retry: () => unknown }) {
  return (
    <div role="alert" className="flex items-center gap-2 border-b border-line bg-warn-soft px-3 py-1.5 text-warn">
      <CircleAlert size={14} aria-hidden />
      <span className="min-w-0 flex-1 truncate">
        Not up to date: {error instanceof Error ? error.message : 'it could not be read again.'}
      </span>
      <button type="button" className="font-medium underline underline-offset-2" onClick={() => void retry()}>
        Try again
      </button>
    </div>
  );
}
