// The frame around every page: where one can go, whether it is live, and what is found from everywhere.
import { useQuery } from '@tanstack/react-query';
import { BookOpen, Keyboard, LogOut, Search, UserRound } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { Instance, Session } from '../../src/http/contract.ts';
import { change, get } from '../api.ts';
import { pauseLive, useLiveState } from '../live.ts';
import { queryClient } from '../refresh.ts';
import { isAt, PAGES, type Page } from '../routes.tsx';
import { IconButton } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { useFailure } from './failure.ts';
import { WANTS_SEARCH } from './filter-fields.tsx';
import { Kbd, MOD } from './kbd.tsx';
import { codeQuery } from './lazy-code.ts';
import { LiveChip } from './live-chip.tsx';
import { Logo } from './logo.tsx';
import { Menu, MenuItem, MenuLine } from './menu.tsx';
import { PanelError } from './panel-states.tsx';
import { ShortcutHelp } from './shortcut-help.tsx';
import { useShortcut } from './shortcuts.tsx';
import { ThemeChoice } from './theme-menu.tsx';
import { toastError } from './toasts.tsx';

const PALETTE = codeQuery('palette', () => import('./palette.tsx'));

export function useInstance() {
  return useQuery({
    queryKey: ['instance'],
    queryFn: ({ signal }) => get<Instance>('/v1/instance', {}, signal),
    staleTime: 60_000,
  });
}

export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const [location, navigate] = useLocation();
  const [isSearching, setSearching] = useState(false);
  const [isHelping, setHelping] = useState(false);
  useShortcut({ keys: 'mod+k', label: 'Find anything', group: 'Everywhere' }, () => setSearching(true));
  const isPaused = useLiveState() === 'paused';
  useShortcut({ keys: 'z', label: isPaused ? 'Go on live' : 'Pause live updates', group: 'Everywhere' }, () =>
    pauseLive(!isPaused),
  );
  useShortcut(
    { keys: '/', label: 'Find in conversations', group: 'Everywhere' },
    () => navigate('/conversations', { state: WANTS_SEARCH }),
    // Elsewhere a field of the page has it.
    location === '/' || location === '/phone',
  );
  useShortcut({ keys: '?', label: 'Show the keys', group: 'Everywhere' }, () => setHelping(true));
  const search = () => setSearching(true);
  // Whoever presses ⌘K types on at once; what is typed before the field is there would be taken for shortcuts.
  useEffect(() => void queryClient.prefetchQuery(PALETTE), []);
  useTitle();
  return (
    <div className="grid h-dvh grid-rows-[auto_1fr_auto] md:grid-cols-[13rem_1fr] md:grid-rows-1">
      <a
        href="#main"
        className="sr-only z-50 rounded-md bg-ink px-3 py-1.5 text-on-ink focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the page
      </a>
      {PAGES.map((page) => (
        <GoTo key={page.path} page={page} go={navigate} />
      ))}
      <header className="flex items-center justify-between gap-2 border-b border-line bg-panel px-3 py-2 md:hidden">
        <Link href="/" aria-label="Darkspere, home">
          <Logo />
        </Link>
        <div className="flex items-center gap-1">
          <LiveChip />
          <IconButton icon={Search} label="Find anything" onClick={search} />
          <PersonMenu session={session} onHelp={() => setHelping(true)} />
        </div>
      </header>

      <aside className="hidden min-h-0 flex-col border-r border-line bg-sunk md:flex">
        <div className="flex h-12 items-center justify-between pr-2 pl-4">
          <Link href="/" aria-label="Darkspere, home">
            <Logo />
          </Link>
          <PersonMenu session={session} onHelp={() => setHelping(true)} />
        </div>
        <div className="px-2.5 pb-2">
          <button
            type="button"
            onClick={search}
            className="flex h-8 w-full items-center gap-2 rounded-md border border-line bg-panel px-2 text-ink-3 hover:border-line-strong"
          >
            <Search size={14} aria-hidden />
            <span className="flex-1 text-left">Find …</span>
            <span className="flex gap-0.5" aria-hidden>
              <Kbd>{MOD}</Kbd>
              <Kbd>K</Kbd>
            </span>
          </button>
        </div>
        <nav aria-label="Pages" className="scroll-y flex-1 px-2.5 py-1">
          <ul className="flex flex-col gap-px">
            {PAGES.map((page) => (
              <li key={page.path}>
                <PageLink page={page} />
              </li>
            ))}
          </ul>
        </nav>
        <div className="flex flex-col items-start gap-2.5 p-3">
          <CarrierNote />
          <LiveChip />
        </div>
      </aside>

      <main id="main" tabIndex={-1} className="min-h-0 min-w-0 overflow-hidden outline-none">
        {children}
      </main>

      <nav aria-label="Pages" className="border-t border-line bg-panel pb-[env(safe-area-inset-bottom)] md:hidden">
        <ul className="grid auto-cols-fr grid-flow-col">
          {PAGES.map((page) => (
            <li key={page.path}>
              <TabLink page={page} />
            </li>
          ))}
        </ul>
      </nav>

      {isSearching && <Finder onClose={() => setSearching(false)} />}
      <ShortcutHelp isOpen={isHelping} onClose={() => setHelping(false)} />
    </div>
  );
}

function Finder({ onClose }: { onClose: () => void }) {
  const { data: code, error } = useQuery(PALETTE);
  if (code) return <code.default onClose={onClose} />;
  if (!error) return null;
  return (
    <Dialog title="Find anything" isOpen onClose={onClose}>
      <PanelError error={new Error('The search could not be loaded.')} retry={() => location.reload()} />
    </Dialog>
  );
}

/** For the history and other tabs. */
function useTitle(): void {
  const [location] = useLocation();
  const here = PAGES.find((page) => isAt(location, page));
  useEffect(() => {
    document.title = here ? `${here.label} · Darkspere` : 'Darkspere';
  }, [here]);
}

function GoTo({ page, go }: { page: Page; go: (to: string) => void }) {
  useShortcut({ keys: `g ${page.key}`, label: `Go to ${page.label}`, group: 'Everywhere' }, () => go(page.path));
  return null;
}

function useIsHere(page: Page): boolean {
  const [location] = useLocation();
  return isAt(location, page);
}

function PageLink({ page }: { page: Page }) {
  const isHere = useIsHere(page);
  const { icon: Icon } = page;
  return (
    <Link
      href={page.path}
      aria-current={isHere ? 'page' : undefined}
      className={`flex h-8 items-center gap-2.5 rounded-md px-2 font-medium ${isHere ? 'bg-selected text-ink' : 'text-ink-2 hover:bg-hover hover:text-ink'}`}
    >
      <Icon size={15} strokeWidth={1.9} aria-hidden />
      {page.label}
    </Link>
  );
}

function TabLink({ page }: { page: Page }) {
  const isHere = useIsHere(page);
  const { icon: Icon } = page;
  return (
    <Link
      href={page.path}
      aria-current={isHere ? 'page' : undefined}
      className={`flex h-13 flex-col items-center justify-center gap-0.5 text-small ${isHere ? 'font-medium text-accent' : 'text-ink-3'}`}
    >
      <Icon size={18} strokeWidth={1.8} aria-hidden />
      {page.label}
    </Link>
  );
}

/** Whether texts reach real phones: nobody should have to guess. */
function CarrierNote() {
  const instance = useInstance();
  const failure = useFailure(instance);
  const { data } = instance;
  if (failure) return <p className="text-small text-warn">Whether texts reach real phones could not be read</p>;
  if (!data) return null;
  const isReal = data.carrier === 'twilio';
  return (
    <p className="text-small text-ink-3" title={data.public_url}>
      {isReal ? 'Twilio: texts reach real phones' : 'Simulator: no text leaves this machine'}
    </p>
  );
}

function PersonMenu({ session, onHelp }: { session: Session; onHelp: () => void }) {
  const signOut = () => {
    change('DELETE', '/v1/session').then(() => location.assign('/login'), toastError);
  };
  return (
    <Menu trigger={<IconButton icon={UserRound} label="You and this console" />} align="start">
      <MenuItem icon={BookOpen} onSelect={() => location.assign('/docs')}>
        API reference
      </MenuItem>
      <MenuItem icon={Keyboard} onSelect={onHelp} hint={<Kbd>?</Kbd>}>
        Keyboard
      </MenuItem>
      <MenuLine />
      <ThemeChoice />
      <MenuLine />
      <MenuItem icon={LogOut} onSelect={signOut}>
        Sign out {session.name}
      </MenuItem>
    </Menu>
  );
}
