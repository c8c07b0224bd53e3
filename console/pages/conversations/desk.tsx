// Below the thread: who answers. The agent does, until somebody takes over; then there is a field to write in, and one key
// gives the conversation back. What is typed there goes to a real phone, so nothing but one's own takeover puts anybody into it.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Hand, SendHorizontal, Undo2 } from 'lucide-react';
import { useEffect, useRef } from 'react';
import type { ConversationDetail, Takeover } from '../../../src/http/contract.ts';
import { change } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { GrowingField } from '../../parts/growing-field.tsx';
import { MAX_CHARACTERS, SegmentCount } from '../../parts/segment-count.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { duration, useNow } from '../../parts/time.tsx';
import { toast, toastError } from '../../parts/toasts.tsx';
import { type Draft, giveBack, useDraft, write } from './drafts.ts';

export function Desk({ conversation }: { conversation: ConversationDetail }) {
  const client = useQueryClient();
  const { id, takeover, state } = conversation;
  /** At once, before the stream says so. */
  const keep = (next: Takeover | null) => {
    client.setQueryData<ConversationDetail>(
      ['conversation', id],
      (old) => old && { ...old, takeover: next, state: next ? 'taken_over' : old.waiting > 0 ? 'waiting' : 'idle' },
    );
    void client.invalidateQueries({ queryKey: ['conversation', id], exact: true });
  };
  const takeOver = useMutation({
    mutationFn: () => change<Takeover>('POST', `/v1/conversations/${id}/takeover`),
    onSuccess: keep,
    onError: toastError,
  });
  const handBack = useMutation({
    mutationFn: () => change<void>('DELETE', `/v1/conversations/${id}/takeover`),
    onSuccess: () => {
      keep(null);
      toast('The agent answers again; it sees what was said.');
    },
    onError: toastError,
  });
  const group = 'Conversation';
  useShortcut({ keys: 't', label: 'Take over', group }, () => takeOver.mutate(), takeover === null);
  useShortcut({ keys: 'b', label: 'Hand back to the agent', group }, () => handBack.mutate(), takeover !== null);

  if (takeover === null)
    return (
      <footer className="flex items-center justify-between gap-3 border-t border-line bg-panel px-3 py-2 lg:px-4">
        <p className="min-w-0 truncate text-ink-3">
          {state === 'opted_out'
            ? 'They have opted out: nothing can be sent until they text START.'
            : 'The agent answers.'}
        </p>
        <Button
          icon={Hand}
          keyHint="t"
          disabled={takeOver.isPending || state === 'opted_out'}
          onClick={() => takeOver.mutate()}
        >
          Take over
        </Button>
      </footer>
    );
  return (
    <footer className="border-t border-hand bg-panel px-3 py-2 lg:px-4">
      <div className="mb-2 flex items-center justify-between gap-3">
        <TakeoverNote takeover={takeover} waiting={conversation.waiting} />
        <Button icon={Undo2} look="hand" keyHint="b" disabled={handBack.isPending} onClick={() => handBack.mutate()}>
          Hand back
        </Button>
      </div>
      <Composer
        id={id}
        isBlocked={state === 'opted_out'}
        // The stream may tell of it before the answer comes.
        isOwn={takeOver.data?.since === takeover.since}
      />
    </footer>
  );
}

function TakeoverNote({
  takeover,
  waiting,
}: {
  takeover: NonNullable<ConversationDetail['takeover']>;
  waiting: number;
}) {
  const left = Date.parse(takeover.until) - useNow();
  return (
    <p className="flex min-w-0 items-center gap-1.5 text-hand">
      <Hand size={14} className="shrink-0" aria-hidden />
      <span className="line-clamp-2">
        {takeover.by} answers by hand
        {waiting > 0 && `; ${waiting === 1 ? 'one text waits' : `${waiting} texts wait`}`}
        <span className="text-ink-3"> · back to the agent in {duration(Math.max(0, left))}</span>
      </span>
    </p>
  );
}

function Composer({
  id,
  isBlocked,
  isOwn,
}: {
  id: string;
  isBlocked: boolean;
  /** Taken over here, a moment ago: somebody wants to write. */
  isOwn: boolean;
}) {
  const draft = useDraft(id);
  const text = draft?.words ?? '';
  const field = useRef<HTMLTextAreaElement>(null);
  const send = useMutation({
    mutationFn: ({ words, key }: Draft) =>
      change('POST', `/v1/conversations/${id}/messages`, { text: words.trim() }, key),
    // A gateway on this machine is there without a network; and nothing goes out hours later, when there is one again.
    networkMode: 'always',
    onError: (error, draft) => {
      giveBack(id, draft);
      toastError(error);
    },
  });
  useEffect(() => {
    if (isOwn) field.current?.focus();
  }, [isOwn]);
  const canSend = text.trim() !== '' && text.length <= MAX_CHARACTERS && !send.isPending && !isBlocked;
  const submit = () => {
    if (draft === null || !canSend) return;
    // At once: what is typed while it is on its way is the next text.
    write(id, null);
    send.mutate(draft);
    field.current?.focus();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div className="flex items-end gap-2">
        <GrowingField
          ref={field}
          value={text}
          aria-label="Your text"
          placeholder={isBlocked ? 'They have opted out' : 'Text them yourself'}
          disabled={isBlocked}
          onChange={(event) => write(id, event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            submit();
          }}
          className="flex-1 rounded-lg border border-line-strong bg-page text-[0.875rem]/[1.25rem] [--field-most:8.5rem] [--field-pad:0.3125rem_0.75rem] focus-within:border-focus focus-within:outline-1 focus-within:outline-focus pointer-coarse:text-[1rem]/[1.375rem] pointer-coarse:[--field-pad:0.5625rem_0.75rem]"
          fieldClassName="outline-none"
        />
        <Button
          type="submit"
          look="primary"
          icon={SendHorizontal}
          disabled={!canSend}
          title="Send (Enter)"
          className="h-8"
        >
          Send
        </Button>
      </div>
      <div className="min-h-4 px-1 pt-1">
        {send.isPending && text === '' ? (
          <p className="animate-[appear_300ms_400ms_both] truncate text-small text-ink-3">
            Sending: {send.variables.words}
          </p>
        ) : (
          <SegmentCount by="operator" text={text} />
        )}
      </div>
    </form>
  );
}
