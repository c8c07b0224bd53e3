// Asking again: the same texts, other words, or another agent. Nothing reaches the person unless somebody sends it on purpose.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { RotateCcw, SendHorizontal } from 'lucide-react';
import { useId, useRef, useState } from 'react';
import type { Agent, Message, MessagePath, MessageState, Replay, ReplayList } from '../../../src/http/contract.ts';
import { change, get } from '../../api.ts';
import { useLiveState } from '../../live.ts';
import { Button } from '../../parts/button.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { ExchangeView } from '../../parts/exchange-view.tsx';
import { formatAddress } from '../../parts/format-address.ts';
import { useInstance } from '../../parts/shell.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { Ago, duration } from '../../parts/time.tsx';
import { toast, toastError } from '../../parts/toasts.tsx';
import { useDraft, write } from './drafts.ts';
import { PictureLinks, picturesOf } from './picture-links.tsx';
import { wordDiff } from './word-diff.ts';

export function ReplayDesk({ path }: { path: MessagePath }) {
  const turn = path.message.turn;
  if (turn === null) return <NothingToReplay state={path.message.state} />;
  const all = [path.message, ...path.related];
  const asked = all.filter(({ direction, turn: its }) => direction === 'in' && its?.id === turn.id);
  const unique = [...new Map(asked.map((message) => [message.id, message])).values()].sort((a, b) =>
    a.id < b.id ? -1 : 1,
  );
  const answer = all.find(({ kind, turn: its }) => kind === 'reply' && its?.id === turn.id) ?? null;
  return <Desk turnId={turn.id} words={unique.map(({ body }) => body).join('\n')} answer={answer} path={path} />;
}

/** Texts that may still have a turn. */
const WAITS: readonly MessageState[] = ['pending', 'held', 'with_operator'];

function NothingToReplay({ state }: { state: MessageState }) {
  return (
    <section aria-label="Replay" className="border-t border-line px-4 pt-3 pb-5">
      <h3 className="font-semibold">Replay</h3>
      <p className="text-small text-ink-3">
        {WAITS.includes(state) ? 'No agent has been asked yet' : 'No agent was asked here'}: there is nothing to replay.
      </p>
    </section>
  );
}

/** Without the stream it is asked for. */
const LOOK_AGAIN_MS = 1_000;
/** Under the conversation's key: what happens to a replay is told as a change of its conversation. */
const keyOf = (conversationId: string, turnId: string) => ['conversation', conversationId, 'replays', turnId];
const isUnderWay = ({ state }: Replay) => state === 'queued' || state === 'running';

function Desk({
  turnId,
  words,
  answer,
  path,
}: {
  turnId: string;
  words: string;
  /** What the turn was answered with. */
  answer: Message | null;
  path: MessagePath;
}) {
  const client = useQueryClient();
  const fieldId = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  // It is there again when the path was closed.
  const text = useDraft(turnId)?.words ?? words;
  const setText = (next: string) => write(turnId, next === words ? null : next);
  // A picture without words is asked as it was; what somebody wrote instead has to have some.
  const canRun = text === words || text.trim() !== '';
  const [agentId, setAgentId] = useState('');
  const agents = useQuery({
    queryKey: ['agents'],
    queryFn: ({ signal }) => get<{ data: Agent[] }>('/v1/agents', { limit: '200' }, signal),
  });
  const live = useLiveState();
  const key = keyOf(path.conversation.id, turnId);
  const replays = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => get<ReplayList>(`/v1/turns/${turnId}/replays`, {}, signal),
    // Somebody who has asked waits for this answer also where the page stands still.
    refetchInterval: ({ state }) => (live !== 'live' && state.data?.data.some(isUnderWay) ? LOOK_AGAIN_MS : false),
  });
  const run = useMutation({
    mutationFn: () =>
      change<Replay>('POST', `/v1/turns/${turnId}/replays`, {
        ...(text === words ? {} : { text }),
        ...(agentId === '' ? {} : { agent_id: agentId }),
      }),
    onSuccess: (replay) =>
      client.setQueryData<ReplayList>(key, (old = { data: [] }) =>
        // The stream may have been quicker than this answer, and knows more.
        old.data.some(({ id }) => id === replay.id) ? old : { data: [replay, ...old.data] },
      ),
    onError: toastError,
  });
  useShortcut({ keys: 'r', label: 'Replay', group: 'Conversation' }, () => {
    field.current?.scrollIntoView({ block: 'nearest' });
    field.current?.focus();
  });
  const others = agents.data?.data.filter(({ status }) => status !== 'deactivated') ?? [];
  return (
    <section aria-label="Replay" className="border-t border-line px-4 pt-3 pb-5">
      <div className="flex items-baseline justify-between">
        <h3 className="font-semibold">Replay</h3>
        <p className="text-small text-ink-3">An agent is asked again; nothing is sent.</p>
      </div>
      <label htmlFor={fieldId} className="sr-only">
        What is asked
      </label>
      <textarea
        id={fieldId}
        ref={field}
        dir="auto"
        value={text}
        maxLength={1600}
        rows={Math.min(6, Math.max(2, text.split('\n').length))}
        placeholder={words.trim() === '' ? 'A picture, without words' : 'What they might have written'}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.metaKey || event.ctrlKey) && canRun) run.mutate();
        }}
        className="mt-2 w-full resize-y rounded-md border border-line-strong bg-page px-2.5 py-1.5"
      />
      <div className="mt-1.5 flex flex-wrap items-center gap-2">
        <select
          aria-label="Which agent"
          value={agentId}
          onChange={(event) => setAgentId(event.target.value)}
          className="h-7 max-w-56 rounded-md border border-line-strong bg-raised px-1.5 pointer-coarse:h-9"
        >
          <option value="">The same agent</option>
          {others.map(({ id, name, status }) => (
            <option key={id} value={id}>
              {status === 'active' ? name : `${name} (${status})`}
            </option>
          ))}
        </select>
        {text !== words && (
          <Button look="quiet" onClick={() => setText(words)}>
            As it was
          </Button>
        )}
        <Button
          className="ml-auto"
          look="primary"
          icon={RotateCcw}
          keyHint="r"
          disabled={run.isPending || !canRun}
          onClick={() => run.mutate()}
        >
          Replay
        </Button>
      </div>
      {replays.error && (
        <p role="alert" className="mt-3 text-bad">
          Earlier replays could not be read: {replays.error.message}{' '}
          <button type="button" className="underline" onClick={() => void replays.refetch()}>
            Try again
          </button>
        </p>
      )}
      <ol className="mt-3 flex flex-col gap-2" aria-label="Replays of this turn">
        {replays.data?.data.map((replay) => (
          <Result key={replay.id} replay={replay} answer={answer} path={path} />
        ))}
      </ol>
    </section>
  );
}

function Result({ replay, answer, path }: { replay: Replay; answer: Message | null; path: MessagePath }) {
  const [isOpen, setOpen] = useState(false);
  const [isSending, setSending] = useState(false);
  const isDone = !isUnderWay(replay);
  return (
    <li className="rounded-md border border-line">
      <div className="flex items-center gap-2 px-2.5 pt-1.5 text-small text-ink-3">
        <span className="font-medium text-ink-2">{replay.agent.name}</span>
        {replay.is_edited && <span>· other words</span>}
        {replay.duration_ms !== null && <span className="figures">· {duration(replay.duration_ms)}</span>}
        <Ago at={replay.created_at} className="ml-auto" />
      </div>
      {replay.is_edited && (
        <p dir="auto" className="px-2.5 pt-1 text-small text-ink-3">
          “{replay.text}”
        </p>
      )}
      <div role="status" className="px-2.5 py-1.5">
        {!isDone && (
          <span className="animate-wait text-ink-2">
            {replay.state === 'queued' ? 'In line …' : 'The agent is asked …'}
          </span>
        )}
        {replay.state === 'failed' && <span className="text-bad">It failed: {replay.error_code}</span>}
        {replay.reply && (
          <>
            <Difference before={answer} after={replay.reply} />
            <PictureLinks urls={replay.reply.media_urls} className="py-1" />
          </>
        )}
      </div>
      <div className="flex items-center gap-1 px-1 pb-1">
        {replay.exchange && (
          <Button look="quiet" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? 'Hide the call' : 'Show the call'}
          </Button>
        )}
        {replay.sent_message_id !== null ? (
          <span className="px-2 text-small text-hand">Sent to them by hand</span>
        ) : (
          replay.reply && (
            <Button look="quiet" icon={SendHorizontal} onClick={() => setSending(true)}>
              Send it to them
            </Button>
          )
        )}
      </div>
      {isOpen && replay.exchange && <ExchangeView exchange={replay.exchange} />}
      <SendDialog replay={replay} path={path} isOpen={isSending} onClose={() => setSending(false)} />
    </li>
  );
}

/** The new answer, with what is other than in the old one marked: underlined what came, struck what went. */
function Difference({ before, after }: { before: Message | null; after: NonNullable<Replay['reply']> }) {
  if (before === null)
    return (
      <p dir="auto" className="whitespace-pre-wrap">
        {after.text}
      </p>
    );
  if (before.body === after.text) {
    const hasSamePictures = picturesOf(before).join('\n') === after.media_urls.join('\n');
    return (
      <p className="text-ink-2">
        {hasSamePictures ? 'The same answer, word for word.' : 'The same words, other pictures.'}
      </p>
    );
  }
  return (
    <p dir="auto" className="break-words whitespace-pre-wrap">
      {wordDiff(before.body, after.text).map(({ what, words }, n) => {
        const key = `${n}${what}`;
        if (what === 'same') return <span key={key}>{words}</span>;
        if (what === 'new')
          return (
            <ins key={key} className="rounded-sm bg-good-soft decoration-good">
              {words}
            </ins>
          );
        return (
          <del key={key} className="rounded-sm bg-bad-soft text-ink-3 decoration-bad">
            {words}
          </del>
        );
      })}
    </p>
  );
}

function SendDialog({
  replay,
  path,
  isOpen,
  onClose,
}: {
  replay: Replay;
  path: MessagePath;
  isOpen: boolean;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const instance = useInstance();
  const [typed, setTyped] = useState('');
  const number = path.conversation.their_address;
  const isReal = instance.data?.carrier !== 'simulator';
  const send = useMutation({
    mutationFn: () => change<Replay>('POST', `/v1/replays/${replay.id}/send`, isReal ? { confirm: typed.trim() } : {}),
    onSuccess: () => {
      onClose();
      toast('On its way to them.');
      void client.invalidateQueries({ queryKey: keyOf(replay.conversation_id, replay.turn_id) });
    },
    onError: toastError,
  });
  return (
    <Dialog title="Send this answer" isOpen={isOpen} onClose={onClose}>
      <form
        className="flex flex-col gap-3 p-4"
        onSubmit={(event) => {
          event.preventDefault();
          send.mutate();
        }}
      >
        <p className="text-ink-2">
          {isReal ? 'It goes to a real phone: ' : 'It goes to the simulated phone '}
          <span className="figures font-medium text-ink">{formatAddress(number)}</span>, as a text by hand.
        </p>
        <blockquote dir="auto" className="scroll-y max-h-40 rounded-md bg-sunk px-3 py-2 whitespace-pre-wrap">
          {replay.reply?.text || 'No words.'}
        </blockquote>
        <PictureLinks urls={replay.reply?.media_urls ?? []} />
        {isReal && (
          <label className="flex flex-col gap-1 text-ink-2">
            Type their number to confirm: {number}
            <input
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
              autoComplete="off"
              className="h-8 rounded-md border border-line-strong bg-page px-2.5 text-ink"
            />
          </label>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            look="primary"
            icon={SendHorizontal}
            disabled={send.isPending || (isReal && typed.trim() !== number)}
          >
            Send
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
