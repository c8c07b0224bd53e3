// The frame: who is signed in, the stream, the shell and the page in it.
import { QueryClientProvider, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Redirect, Route, Switch, useLocation } from 'wouter';
import type { Session } from '../src/http/contract.ts';
import { ApiError, get, onSignedOut, rememberSession } from './api.ts';
import { closeLive, openLive } from './live.ts';
import { LoginPage } from './pages/login.tsx';
import { NotFoundPage } from './pages/not-found.tsx';
import { ErrorBoundary } from './parts/error-boundary.tsx';
import { PanelError, PanelLoading } from './parts/panel-states.tsx';
import { Shell } from './parts/shell.tsx';
import { Toasts } from './parts/toasts.tsx';
import { queryClient } from './refresh.ts';
import { refreshOnChanges } from './refresh-on-changes.ts';
import { PAGES, type Page } from './routes.tsx';

export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <Switch>
        <Route path="/login">
          <LoginPage />
        </Route>
        <Route>
          <SignedIn />
        </Route>
      </Switch>
      <Toasts />
    </QueryClientProvider>
  );
}

function SignedIn() {
  const [location] = useLocation();
  const [isOver, setOver] = useState(false);
  const session = useQuery({
    queryKey: ['session'],
    queryFn: ({ signal }) => get<Session>('/v1/session', {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
  rememberSession(session.data ?? null);
  useEffect(() => onSignedOut(() => setOver(true)), []);
  const isIn = session.data !== undefined && !isOver;
  useEffect(() => {
    if (!isIn) return;
    const stop = refreshOnChanges();
    openLive();
    return () => {
      stop();
      closeLive();
    };
  }, [isIn]);

  if (isOver || (session.error instanceof ApiError && session.error.status === 401)) return <Redirect to="/login" />;
  if (session.error) return <PanelError className="h-dvh" error={session.error} retry={() => session.refetch()} />;
  if (!session.data) return <PanelLoading className="h-dvh" what="the console" />;
  return (
    <Shell session={session.data}>
      <ErrorBoundary key={location.split('/')[1]}>
        <Switch>
          {PAGES.map((page) => (
            <Route key={page.path} path={page.deep ? `${page.path}/*?` : page.path}>
              <PageOf page={page} />
            </Route>
          ))}
          <Route component={NotFoundPage} />
        </Switch>
      </ErrorBoundary>
    </Shell>
  );
}

function PageOf({ page }: { page: Page }) {
  const { data: code, error } = useQuery(page.code);
  if (code) return <code.default />;
  // The network is gone, or the build is a newer one.
  if (error) {
    return (
      <>
        <h1 className="sr-only">{page.label}</h1>
        <PanelError
          className="h-full"
          error={new Error(`${page.label} could not be loaded.`)}
          retry={() => location.reload()}
        />
      </>
    );
  }
  return <PanelLoading className="h-full" what="the page" />;
}
