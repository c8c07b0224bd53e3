import type { Dispatcher } from 'undici';
import type { Timeouts } from './call.ts';

/** The account at the carrier, as the calls to it need it. */
export type Carrier = {
  readonly http: Dispatcher;
  /** For media that lives elsewhere than the API: guarded, never with the credential unless the host is Twilio's. */
  readonly mediaHttp: Dispatcher;
  readonly messagesUrl: URL;
  /** Carries the credential. */
  readonly headers: Readonly<Record<string, string>>;
  readonly publicUrl: string;
  readonly messagingServiceSid: string | null;
  readonly timeouts: Timeouts;
};
