// A truthful fake Twilio: the carrier when no Twilio variables are set, and the one that tests and benchmarks use.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DarkspereError } from '../../errors.ts';
import { aimFaults } from './aimed-faults.ts';
import { createCarrier, type PersonText } from './carrier.ts';
import { createControlApi } from './control.ts';
import { type CarrierEvent, type Counts, createEvents, type Problem } from './events.ts';
import { createFaults } from './fault-rules.ts';
import { createScripts, type FaultScript } from './fault-script.ts';
import type { FaultPlan, Faults } from './faults.ts';
import { createHistory, type History } from './history.ts';
import { createMessageStore, type Message } from './message.ts';
import { createOptOuts } from './opt-out.ts';
import { createOutage } from './outage.ts';
import { createOutboundMedia } from './outbound-media.ts';
import { createPacing } from './pacing.ts';
import { createPeople, type Person } from './person.ts';
import { createRandom } from './random.ts';
import { createRestApi } from './rest-api.ts';
import { createTimers } from './timers.ts';
import { createWebhooks } from './webhooks.ts';
import { createWindows } from './whatsapp.ts';

export type SimulatorOptions = {
  /** 0 takes a free one. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly accountSid: string;
  readonly authToken: string;
  /** Our numbers, at least one. */
  readonly numbers: readonly string[];
  /**
   * Where people's texts are posted; exactly this address is signed, without its fragment, which may say how to connect
   * and what to retry (`#rc=3&rp=5xx,ct,rt`).
   */
  readonly webhookUrl: string;
  /** Where they are posted when that fails. */
  readonly fallbackUrl?: string;
  /** `carrier` (the default): one segment per second per long code, jittered delays. `off`: as fast as it goes. */
  readonly pacing?: 'carrier' | 'off';
  /** Mean delays; default 300 and 700 ms, none when pacing is off. */
  readonly statusDelaysMs?: { readonly sent: number; readonly delivered: number };
  /** How many messages are remembered for the API, default 10,000. */
  readonly maxStored?: number;
  /** How many entries of the history are kept, default 10,000. */
  readonly maxHistory?: number;
  /** Makes ids, delays and faults by chance repeatable. */
  readonly seed?: number;
  /** Twilio's Advanced Opt-Out: webhooks of keywords carry OptOutType. */
  readonly advancedOptOut?: boolean;
  /** How long a webhook may take, default Twilio's 15 s. */
  readonly webhookTimeoutMs?: number;
  /** Whether pictures that people send want the account's credential, default true. */
  readonly protectsMedia?: boolean;
  /** Whether media of ours are fetched before they are sent, and fail as at Twilio; default false: nothing leaves this machine. */
  readonly fetchesMedia?: boolean;
  /** Connections to each of our origins, default 64: what may be in flight at once. */
  readonly connections?: number;
};

export type Simulator = {
  readonly url: string;
  readonly numbers: readonly string[];
  readonly faults: Faults;
  readonly counts: Readonly<Counts>;
  /** What went over the wire. */
  readonly history: History;
  /** Our URLs that failed, newest last. */
  readonly problems: readonly Problem[];
  /** The person with this phone number; the same one each time. */
  person(phone: string): Person;
  /** One text without a phone to watch, for load: resolves with the webhook's HTTP status (0: no answer). */
  text(text: PersonText): Promise<{ sid: string; status: number }>;
  /** The same without waiting; the faults happen to this text, or to what answers it. */
  submit(text: PersonText, faults?: FaultPlan): { sid: string; answered: Promise<number> };
  /** Calls back with what happens at the carrier; gives the function that ends it. */
  watch(listener: (event: CarrierEvent) => void): () => void;
  /** What is remembered, newest first. */
  messages(): readonly Readonly<Message>[];
  /** From now on; without a second URL there is no fallback. */
  setWebhookUrl(url: string, fallbackUrl?: string): void;
  /** Plays a script of faults from now on; another one replaces it. */
  play(script: FaultScript): void;
  close(): Promise<void>;
};

async function listen(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (thrown: NodeJS.ErrnoException) => {
      const taken = new DarkspereError(
        'port_in_use',
        `Port ${port} of the simulator is taken, perhaps by another copy of Darkspere. Stop it, or set DARKSPERE_SIMULATOR_PORT to a free port.`,
        { param: 'DARKSPERE_SIMULATOR_PORT', cause: thrown },
      );
      reject(thrown.code === 'EADDRINUSE' ? taken : thrown);
    });
    server.listen(port, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}

/** Starts the simulator; throws `port_in_use`. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { accountSid, authToken, numbers, host = '127.0.0.1', pacing: mode = 'carrier' } = options;
  if (numbers.length === 0) throw new DarkspereError('config_invalid', 'The simulator needs at least one number.');
  let url = '';
  const timers = createTimers();
  const store = createMessageStore(options.maxStored ?? 10_000);
  const history = createHistory(options.maxHistory ?? 10_000);
  const events = createEvents();
  const scripts = createScripts(timers);
  const faults = createFaults({
    seed: options.seed,
    onSubject: scripts.onSubject,
    onClear: scripts.stop,
    onChange: (name) => {
      if (name === 'refuseConnections') outage.follow(faults);
    },
  });
  const optOuts = createOptOuts();
  const pacing = createPacing(mode);
  const media = createOutboundMedia(options.fetchesMedia ?? false);
  const webhooks = createWebhooks({
    authToken,
    timeoutMs: options.webhookTimeoutMs ?? 15_000,
    connections: options.connections ?? 64,
  });
  const carrier = createCarrier({
    accountSid,
    numbers,
    webhookUrl: options.webhookUrl,
    fallbackUrl: options.fallbackUrl ?? null,
    baseUrl: () => url,
    advancedOptOut: options.advancedOptOut ?? false,
    statusDelaysMs:
      options.statusDelaysMs ?? (mode === 'off' ? { sent: 0, delivered: 0 } : { sent: 300, delivered: 700 }),
    jitter: mode === 'carrier',
    store,
    faults,
    events,
    history,
    optOuts,
    pacing,
    timers,
    webhooks,
    random: createRandom(options.seed),
    windows: createWindows(),
    fetchMedia: media.fetch,
  });
  const protectsMedia = options.protectsMedia ?? true;
  const rest = createRestApi({
    ...{ accountSid, authToken, numbers, protectsMedia },
    ...{ carrier, store, faults, history, timers, optOuts, pacing },
  });
  const control = createControlApi({ accountSid, numbers, carrier, store, faults, scripts, events, history });

  const server = createServer({ keepAliveTimeout: 65_000, noDelay: true }, (request, response) => {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const isControl = path === '/simulator' || path.startsWith('/simulator/');
    if (!isControl) outage.saw(request.socket);
    // A client that leaves in the middle of its request ends here; there is nobody to answer.
    (isControl ? control : rest)(request, response, path, query).catch(() => response.destroy());
  });
  const port = await listen(server, options.port, host);
  const outage = createOutage(server, timers, { port, host });
  url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;

  return {
    url,
    numbers,
    faults,
    counts: events.counts,
    history,
    problems: events.problems,
    person: createPeople(carrier, store, events),
    async text(text) {
      const sent = carrier.textFromPerson(text);
      return { sid: sent.sid, status: await sent.answered };
    },
    submit(text, plan) {
      const { from, to = numbers[0]!, body } = text;
      if (plan !== undefined) aimFaults(faults, plan, { from, to, body });
      return carrier.textFromPerson(text);
    },
    watch: events.subscribe,
    messages: () => [...store.all()],
    setWebhookUrl: (webhookUrl, fallbackUrl) => carrier.setUrls(webhookUrl, fallbackUrl ?? null),
    play: (script) => scripts.play(script, faults),
    async close() {
      carrier.close();
      await webhooks.close();
      await media.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
