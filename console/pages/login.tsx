// Signing in: the URL that the program printed carries a token behind its #, which no server log and no other site ever sees.
import { CircleAlert } from 'lucide-react';
import { useEffect, useState } from 'react';
import { ApiError, change } from '../api.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Logo } from '../parts/logo.tsx';

const COMMAND = 'npx darkspere login';

/** Once per load: the token is single-use, and a component may be mounted twice. */
let signingIn: Promise<void> | null = null;

export function LoginPage() {
  const [error, setError] = useState<string | null>(null);
  const [token] = useState(() => location.hash.slice(1));
  useEffect(() => {
    if (token === '') return;
    signingIn ??= change<void>('POST', '/v1/login', { token });
    signingIn.then(
      // A full load: nothing of a session before this one stays in memory, and the token leaves the history.
      () => location.replace('/'),
      (thrown) => {
        history.replaceState(null, '', '/login');
        setError(thrown instanceof ApiError ? thrown.message : 'Signing in did not work.');
      },
    );
  }, [token]);
  useEffect(() => {
    // The printed address, opened in a tab that shows this page already: for the browser only what stands behind the # is other.
    const onHash = () => location.hash.length > 1 && location.reload();
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);

  return (
    <main className="flex min-h-dvh items-center justify-center p-4">
      <div className="w-full max-w-sm">
        <Logo />
        {token !== '' && error === null ? (
          <p role="status" className="mt-6 text-large text-ink-2">
            Signing you in …
          </p>
        ) : (
          <>
            {error !== null && (
              <p role="alert" className="mt-6 flex gap-2 rounded-md bg-bad-soft px-3 py-2 text-bad">
                <CircleAlert size={16} className="mt-0.5 shrink-0" aria-hidden />
                {error}
              </p>
            )}
            <h1 className="mt-6 text-title font-semibold">Sign in</h1>
            <p className="mt-1 text-ink-2">
              There is no password. Where Darkspere runs, print a link that works once and for 15 minutes:
            </p>
            <div className="mt-3 flex items-center justify-between rounded-md border border-line bg-sunk py-1 pr-1 pl-3 font-mono">
              <span>
                <span className="text-ink-3 select-none">$ </span>
                {COMMAND}
              </span>
              <CopyButton text={COMMAND} label="Copy the command" />
            </div>
          </>
        )}
      </div>
    </main>
  );
}
