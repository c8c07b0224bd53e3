// How patiently Twilio calls a URL: its defaults, and what the URL's fragment says otherwise (`#rc=2&rp=5xx,ct`).
// Source: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides

/** What may be tried again: no connection, no answer in time, an answer that is an error. */
export type Trouble = 'ct' | 'rt' | '4xx' | '5xx';

export type ConnectionSettings = {
  /** To connect. */
  readonly connectMs: number;
  /** To the first byte of the answer, and between its packets. */
  readonly readMs: number;
  /** For everything, retries included. */
  readonly totalMs: number;
  readonly retries: number;
  readonly retried: ReadonlySet<Trouble>;
};

const DEFAULTS = { connectMs: 5_000, retries: 1, retried: new Set<Trouble>(['ct']) };
const TROUBLES: readonly Trouble[] = ['ct', 'rt', '4xx', '5xx'];

/** A value outside its range is as if it were not there. */
function within(text: string | null, least: number, most: number, otherwise: number): number {
  if (text === null || !/^\d{1,6}$/.test(text)) return otherwise;
  const value = Number(text);
  return value >= least && value <= most ? value : otherwise;
}

function retriedOf(text: string | null): ReadonlySet<Trouble> {
  if (text === null) return DEFAULTS.retried;
  const names = new Set(text.split(','));
  return new Set(names.has('all') ? TROUBLES : TROUBLES.filter((trouble) => names.has(trouble)));
}

/** Takes the fragment off a configured URL: it is neither sent nor signed. `timeoutMs` is the default patience, 15 s at Twilio. */
export function readConnectionSettings(
  configuredUrl: string,
  timeoutMs: number,
): { readonly url: string; readonly settings: ConnectionSettings } {
  const at = configuredUrl.indexOf('#');
  if (at === -1) {
    return { url: configuredUrl, settings: { ...DEFAULTS, readMs: timeoutMs, totalMs: timeoutMs } };
  }
  const fragment = new URLSearchParams(configuredUrl.slice(at + 1));
  const settings = {
    connectMs: within(fragment.get('ct'), 100, 10_000, DEFAULTS.connectMs),
    readMs: within(fragment.get('rt'), 100, 15_000, timeoutMs),
    totalMs: within(fragment.get('tt'), 100, 15_000, timeoutMs),
    retries: within(fragment.get('rc'), 0, 5, DEFAULTS.retries),
    retried: retriedOf(fragment.get('rp')),
  };
  return { url: configuredUrl.slice(0, at), settings };
}
