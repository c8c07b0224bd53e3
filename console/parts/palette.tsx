// ⌘K: pages and actions at once, and whatever the search finds: people, texts, ids, agents.
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Command } from 'cmdk';
import { BookOpen, Bot, MessageSquare, MessageSquareText, Plus, Search } from 'lucide-react';
import { useDeferredValue, useState } from 'react';
import { useLocation } from 'wouter';
import type { SearchResult } from '../../src/http/contract.ts';
import { ApiError, get, queryString } from '../api.ts';
import { PAGES } from '../routes.tsx';
import { Dialog } from './dialog.tsx';
import { formatAddress, isNumber } from './format-address.ts';
import { Kbd } from './kbd.tsx';
import { Ago } from './time.tsx';

const ITEM =
  'flex min-h-8 cursor-pointer items-center gap-2.5 rounded-md px-2.5 py-1.5 data-[selected=true]:bg-selected [&_svg]:shrink-0 [&_svg]:text-ink-3';
const GROUP =
  '[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-small [&_[cmdk-group-heading]]:text-ink-3';
const MIN_LENGTH = 2;
/** As many of each kind the gateway gives at most. */
const MOST = 20;
const ACTIONS = [
  { label: 'Register an agent', icon: Plus, run: (go: (path: string) => void) => go('/agents/new') },
  // Outside the console.
  { label: 'API reference', icon: BookOpen, run: () => location.assign('/docs') },
] as const;

export default function Palette({ onClose }: { onClose: () => void }) {
  const [, navigate] = useLocation();
  const [text, setText] = useState('');
  const q = useDeferredValue(text.trim());
  const isSearch = q.length >= MIN_LENGTH;
  const found = useQuery({
    queryKey: ['search', q],
    queryFn: ({ signal }) => get<SearchResult>('/v1/search', { q }, signal),
    enabled: isSearch,
    placeholderData: keepPreviousData,
  });
  const go = (path: string) => {
    onClose();
    navigate(path);
  };
  const isMeant = ({ label }: { label: string }) => label.toLowerCase().includes(text.trim().toLowerCase());
  const pages = PAGES.filter(isMeant);
  const actions = ACTIONS.filter(isMeant);
  const result = isSearch ? found.data : undefined;
  const counts = result ? [result.conversations, result.messages, result.agents].map(({ length }) => length) : [];
  const hits = counts.reduce((sum, count) => sum + count, 0);
  return (
    <Dialog title="Find anything" isOpen onClose={onClose} className="max-w-xl" isBare>
      <Command shouldFilter={false} loop label="Find anything" className="flex min-h-0 flex-col">
        <Command.Input
          autoFocus
          value={text}
          onValueChange={setText}
          placeholder="A number, words of a text, an id, an agent …"
          className="h-12 w-full border-b border-line bg-transparent px-4 text-large outline-none"
        />
        <Command.List className="scroll-y max-h-[56vh] p-1.5">
          {pages.length > 0 && (
            <Command.Group heading="Go to" className={GROUP}>
              {pages.map(({ path, label, icon: Icon, key }) => (
                <Command.Item key={path} value={`page ${path}`} onSelect={() => go(path)} className={ITEM}>
                  <Icon size={15} aria-hidden />
                  <span className="flex-1">{label}</span>
                  <span className="flex gap-1">
                    <Kbd>g</Kbd>
                    <Kbd>{key}</Kbd>
                  </span>
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {actions.length > 0 && (
            <Command.Group heading="Actions" className={GROUP}>
              {actions.map(({ label, icon: Icon, run }) => (
                <Command.Item key={label} value={`action ${label}`} onSelect={() => run(go)} className={ITEM}>
                  <Icon size={15} aria-hidden />
                  <span>{label}</span>
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {result && result.conversations.length > 0 && (
            <Command.Group heading="People" className={GROUP}>
              {result.conversations.map((conversation) => (
                <Command.Item
                  key={conversation.id}
                  value={`conversation ${conversation.id}`}
                  onSelect={() => go(`/conversations/${conversation.id}`)}
                  className={ITEM}
                >
                  <MessageSquare size={15} aria-hidden />
                  <span className="figures font-medium">{formatAddress(conversation.their_address)}</span>
                  <span className="min-w-0 flex-1 truncate text-ink-3">{conversation.last_message?.preview}</span>
                  {conversation.last_message && (
                    <Ago at={conversation.last_message.at} className="text-small text-ink-3" />
                  )}
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {result && result.messages.length > 0 && (
            <Command.Group heading="Texts" className={GROUP}>
              {result.messages.map((message) => (
                <Command.Item
                  key={message.id}
                  value={`message ${message.id}`}
                  onSelect={() => go(`/conversations/${message.conversation_id}/messages/${message.id}`)}
                  className={ITEM}
                >
                  <MessageSquareText size={15} aria-hidden />
                  <span className="min-w-0 flex-1 truncate">{message.body || '(a picture)'}</span>
                  <span className="figures text-small text-ink-3">{formatAddress(message.their_address)}</span>
                  <Ago at={message.at} className="text-small text-ink-3" />
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {result && result.agents.length > 0 && (
            <Command.Group heading="Agents" className={GROUP}>
              {result.agents.map((agent) => (
                <Command.Item
                  key={agent.id}
                  value={`agent ${agent.id}`}
                  onSelect={() => go(`/agents/${agent.id}`)}
                  className={ITEM}
                >
                  <Bot size={15} aria-hidden />
                  <span className="min-w-0 flex-1 truncate">{agent.name}</span>
                </Command.Item>
              ))}
            </Command.Group>
          )}
          {/* Comes with what was found: alone it would be chosen, and stay so when a hit comes. */}
          {hits > 0 && (
            <Command.Group heading="More" className={GROUP}>
              <Command.Item value="all results" onSelect={() => go(allOf(q, result))} className={ITEM}>
                <Search size={15} aria-hidden />
                <span className="min-w-0 flex-1 truncate">All results for “{q}”</span>
              </Command.Item>
            </Command.Group>
          )}
        </Command.List>
        {isSearch && (
          <p role="status" className="border-t border-line px-4 py-2 text-small text-ink-3">
            {found.error
              ? `The search failed: ${found.error instanceof ApiError ? found.error.message : 'try again'}`
              : found.isFetching
                ? 'Searching …'
                : hits === 0
                  ? `Nothing found in ${(result?.searched ?? []).join(', ') || 'anything'}.`
                  : counts.some((count) => count >= MOST)
                    ? `The newest ${hits}; there may be more.`
                    : `${hits} found.`}
          </p>
        )}
      </Command>
    </Dialog>
  );
}

/** Of a number the people who have it, unless it was found in texts alone. */
function allOf(q: string, result: SearchResult | undefined): string {
  const isInTexts = isNumber(q) && result?.conversations.length === 0 && result.messages.length > 0;
  return `/conversations${queryString({ q, in: isInTexts ? 'texts' : '' })}`;
}
