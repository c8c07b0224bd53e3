// The connection under live.ts. A browser opens six connections to a host and no more, so seven tabs with a stream each would
// leave none for anything else: one tab, whoever holds the lock, has the stream and tells the others. When it closes the
// next one opens it behind the last event it was told of. Locks exist only where the page came over https or from this machine:
// elsewhere each tab has a stream of its own and tells nobody, or each would hear everything from all.
import { get } from './api.ts';

export type StreamEvent = {
  readonly type: 'change' | 'agent' | 'phone' | 'reset' | 'beat' | 'cut';
  readonly data: string;
  readonly id: string;
};

const NAME = 'darkspere-live';
const TYPES = ['change', 'agent', 'phone', 'reset', 'beat'] as const;
/** A browser tries again by itself, but gives up for good when it is answered with an error. */
const OPEN_AGAIN_MS = 2_000;

/** Calls back with every event until the returned function is called. */
export function openStream(onEvent: (event: StreamEvent) => void): () => void {
  const over = new AbortController();
  let lastId = '';
  const take = (event: StreamEvent) => {
    if (over.signal.aborted) return;
    if (event.id !== '') lastId = event.id;
    onEvent(event);
  };
  if (!navigator.locks) {
    void listen(() => lastId, take, over.signal);
    return () => over.abort();
  }
  const channel = new BroadcastChannel(NAME);
  channel.onmessage = ({ data }: MessageEvent<StreamEvent>) => take(data);
  const lead = () =>
    listen(
      () => lastId,
      (event) => {
        take(event);
        channel.postMessage(event);
      },
      over.signal,
    );
  navigator.locks.request(NAME, { signal: over.signal }, lead).catch(() => {});
  return () => {
    over.abort();
    channel.close();
  };
}

/** Holds the connection until `signal`; resolves then. */
async function listen(lastId: () => string, onEvent: (event: StreamEvent) => void, signal: AbortSignal): Promise<void> {
  // When another tab had the stream until now, nobody has it for a moment.
  onEvent({ type: 'cut', data: '', id: '' });
  while (!signal.aborted) {
    await connection(lastId(), onEvent, signal);
    if (signal.aborted) return;
    // It was refused. Perhaps the session is over: whoever asks finds out and signs out.
    await get('/v1/session').catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, OPEN_AGAIN_MS));
  }
}

/** Resolves when the browser has given up. */
function connection(lastId: string, onEvent: (event: StreamEvent) => void, signal: AbortSignal): Promise<void> {
  const source = new EventSource(
    lastId === '' ? '/v1/events' : `/v1/events?last_event_id=${encodeURIComponent(lastId)}`,
  );
  return new Promise((resolve) => {
    const end = () => {
      source.close();
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
    for (const type of TYPES) {
      source.addEventListener(type, (event: MessageEvent<string>) =>
        onEvent({ type, data: event.data, id: event.lastEventId }),
      );
    }
    source.addEventListener('error', () => {
      onEvent({ type: 'cut', data: '', id: '' });
      if (source.readyState !== EventSource.CLOSED) return;
      signal.removeEventListener('abort', end);
      resolve();
    });
  });
}
