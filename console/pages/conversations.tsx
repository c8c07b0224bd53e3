// Conversations: the list, the one that is open, and the path of the message that is open in it. Side by side where there is
// room, one behind the other where there is not.
import { useMemo } from 'react';
import { useRoute, useSearch } from 'wouter';
import { Kbd } from '../parts/kbd.tsx';
import { PanelEmpty } from '../parts/panel-states.tsx';
import { filterOf, paramsOf, textsOf } from './conversations/filter.ts';
import { Filters } from './conversations/filters.tsx';
import { Found } from './conversations/found.tsx';
import { ConversationList } from './conversations/list.tsx';
import { PathPanel } from './conversations/path-panel.tsx';
import { Thread } from './conversations/thread.tsx';

export default function ConversationsPage() {
  const [, place] = useRoute('/conversations/:id?/*?');
  const search = useSearch();
  const params = useMemo(() => paramsOf(search), [search]);
  const filter = useMemo(() => filterOf(params), [params]);
  const texts = textsOf(params);
  const openId = place?.id ?? null;
  const messageId = /^messages\/([\w-]+)$/.exec(place?.['*'] ?? '')?.[1] ?? null;
  const suffix = search === '' ? '' : `?${search}`;
  return (
    <div className="flex h-full">
      {/* Where the path has the whole screen, the thread and its heading are not there. */}
      {messageId !== null && <h1 className="sr-only xl:hidden">A message and its path</h1>}
      {openId === null && <h1 className="sr-only">Conversations</h1>}
      <section
        aria-label={texts === null ? 'All conversations' : 'Texts'}
        className={`min-h-0 w-full flex-col border-line bg-panel lg:w-[21rem] lg:shrink-0 lg:border-r ${listShows(openId, messageId)}`}
      >
        <Filters params={params} />
        {texts === null ? (
          <ConversationList filter={filter} openId={openId} />
        ) : (
          <Found key={texts} q={texts} messageId={messageId} />
        )}
      </section>
      {openId === null ? (
        <div className="hidden flex-1 lg:block">
          <PanelEmpty title="Open a conversation" className="h-full">
            <span className="inline-flex items-center gap-1.5">
              <Kbd>j</Kbd> and <Kbd>k</Kbd> go through them, <Kbd>/</Kbd> finds a number or words
            </span>
          </PanelEmpty>
        </div>
      ) : (
        <section
          aria-label="Conversation"
          className={`min-h-0 min-w-0 flex-1 flex-col ${messageId === null ? 'flex' : 'hidden xl:flex'}`}
        >
          <Thread key={openId} id={openId} messageId={messageId} suffix={suffix} />
        </section>
      )}
      {openId !== null && messageId !== null && (
        <section
          aria-label="Path of a message"
          className="flex min-h-0 min-w-0 flex-1 flex-col border-line bg-panel xl:border-l xl:w-[34rem] xl:flex-none min-[100rem]:w-[40rem]"
        >
          <PathPanel
            key={messageId}
            conversationId={openId}
            messageId={messageId}
            back={`/conversations/${openId}${suffix}`}
          />
        </section>
      )}
    </div>
  );
}

/** Beside a path there is room for the list only where the thread is still wide enough to be read. */
function listShows(openId: string | null, messageId: string | null): string {
  if (openId === null) return 'flex';
  return messageId === null ? 'hidden lg:flex' : 'hidden min-[94rem]:flex';
}
