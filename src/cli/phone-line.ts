// The command line's connection to the simulator: what happens on one phone, and what the person does with it.

/** One event of the simulator's stream; see control.ts for who writes it. */
export type PhoneEvent = {
  readonly type: 'text-in' | 'text-out' | 'status';
  readonly sid: string;
  readonly from: string;
  readonly to: string;
  readonly body: string;
  readonly status: string;
  readonly segments: number;
  readonly media_urls?: readonly string[];
  readonly error_code?: number;
  readonly detail?: string;
  readonly at: string;
};

export type PhoneLine = {
  /** Sends a text from the phone. */
  text(body: string, to?: string): Promise<void>;
  /** Asks the simulator for faults (the body of POST /simulator/faults). */
  fault(plan: Record<string, unknown>): Promise<void>;
  close(): void;
};

/** Fetches from the simulator; throws an Error whose message can be shown to the person as it is. */
async function ask(url: URL, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (thrown) {
    throw new Error(`Nothing answers at ${url.origin}. Is Darkspere running? npm start`, { cause: thrown });
  }
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  const message = (body as { error?: { message?: unknown } } | null)?.error?.message;
  throw new Error(
    typeof message === 'string'
      ? message
      : `What answers at ${url.origin} is not the simulator (HTTP ${response.status}).`,
  );
}

async function readEvents(response: Response, onEvent: (event: PhoneEvent) => void): Promise<void> {
  let rest = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data: ')) onEvent(JSON.parse(line.slice(6)) as PhoneEvent);
  }
}

/**
 * Listens to the phone's events before anything is sent, so that none is missed. `onLost` is called once when the
 * simulator goes away.
 */
export async function openPhoneLine(options: {
  simulatorUrl: string;
  phone: string;
  onEvent: (event: PhoneEvent) => void;
  onLost: () => void;
}): Promise<PhoneLine> {
  const { phone, onEvent, onLost, simulatorUrl } = options;
  const stop = new AbortController();
  const eventsUrl = new URL('/simulator/events', simulatorUrl);
  eventsUrl.searchParams.set('phone', phone);
  const stream = await ask(eventsUrl, { signal: stop.signal });
  const lost = (): void => {
    if (!stop.signal.aborted) onLost();
  };
  readEvents(stream, onEvent).then(lost, lost);
  const post = async (path: string, body: unknown): Promise<void> => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    await (await ask(new URL(path, simulatorUrl), init)).arrayBuffer();
  };
  return {
    text: (body, to) => post('/simulator/texts', { from: phone, body, ...(to === undefined ? {} : { to }) }),
    fault: (plan) => post('/simulator/faults', plan),
    close: () => stop.abort(),
  };
}
