// The pages: where each is, what it is called, and the key that leads there. Each is a file of its own in the browser too.
import { Activity, Bot, MessagesSquare, Smartphone } from 'lucide-react';
import { type ComponentType, lazy } from 'react';

export type Page = {
  readonly path: string;
  readonly label: string;
  /** Pressed after `g`. */
  readonly key: string;
  readonly icon: ComponentType<{ size?: number; strokeWidth?: number; 'aria-hidden'?: boolean }>;
  /** Takes everything below its path. */
  readonly deep: boolean;
  readonly Component: ComponentType;
};

export const PAGES: readonly Page[] = [
  {
    path: '/',
    label: 'Home',
    key: 'h',
    icon: Activity,
    deep: false,
    Component: lazy(() => import('./pages/home.tsx')),
  },
  {
    path: '/conversations',
    label: 'Conversations',
    key: 'c',
    icon: MessagesSquare,
    deep: true,
    Component: lazy(() => import('./pages/conversations.tsx')),
  },
  {
    path: '/agents',
    label: 'Agents',
    key: 'a',
    icon: Bot,
    deep: true,
    Component: lazy(() => import('./pages/agents.tsx')),
  },
  {
    path: '/phone',
    label: 'Phone',
    key: 'p',
    icon: Smartphone,
    deep: false,
    Component: lazy(() => import('./pages/phone.tsx')),
  },
];
