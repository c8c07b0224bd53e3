// The pages: where each is, what it is called, and the key that leads there. Each is a file of its own in the browser too.
import { Activity, Bot, MessagesSquare, Smartphone } from 'lucide-react';
import type { ComponentType } from 'react';
import { codeQuery } from './parts/lazy-code.ts';
import { queryClient } from './refresh.ts';

export type Page = {
  readonly path: string;
  readonly label: string;
  /** Pressed after `g`. */
  readonly key: string;
  readonly icon: ComponentType<{ size?: number; strokeWidth?: number; 'aria-hidden'?: boolean }>;
  /** Takes everything below its path. */
  readonly deep: boolean;
  readonly code: ReturnType<typeof codeOf>;
};

const codeOf = (name: string, load: () => Promise<{ default: ComponentType }>) => codeQuery(name, load);

export const PAGES: readonly Page[] = [
  {
    path: '/',
    label: 'Home',
    key: 'h',
    icon: Activity,
    deep: false,
    code: codeOf('home', () => import('./pages/home.tsx')),
  },
  {
    path: '/conversations',
    label: 'Conversations',
    key: 'c',
    icon: MessagesSquare,
    deep: true,
    code: codeOf('conversations', () => import('./pages/conversations.tsx')),
  },
  {
    path: '/agents',
    label: 'Agents',
    key: 'a',
    icon: Bot,
    deep: true,
    code: codeOf('agents', () => import('./pages/agents.tsx')),
  },
  {
    path: '/phone',
    label: 'Phone',
    key: 'p',
    icon: Smartphone,
    deep: false,
    code: codeOf('phone', () => import('./pages/phone.tsx')),
  },
];

export function isAt(location: string, { path, deep }: Page): boolean {
  return location === path || (deep && location.startsWith(`${path}/`));
}

/** Begins to load the page that is asked for, while it is still being found out who asks. */
export function loadAhead(location: string): void {
  const page = PAGES.find((one) => isAt(location, one));
  if (page) void queryClient.prefetchQuery(page.code);
}
