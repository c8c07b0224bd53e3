// Every error the product can name, in one place. Clients match on `code`, never on a message.
// The catalogue is data: docs/reference/errors.md is generated from it and a test holds the two together.

export type Category =
  | 'network'
  | 'authentication'
  | 'validation'
  | 'rate_limit'
  | 'agent_unavailable'
  | 'agent_error'
  | 'database'
  | 'external_api'
  | 'timeout'
  | 'configuration'
  | 'unknown';

/** What may follow a failure: `same` = try the same target again, `other` = try another target, `never` = stop. */
export type Retry = 'same' | 'other' | 'never';

type Entry = {
  readonly category: Category;
  /** HTTP status when the error leaves through our API. */
  readonly status: number;
  readonly retry: Retry;
  /** For the operator: what happened. */
  readonly title: string;
  /** For the operator: what to do about it. */
  readonly fix: string;
};

export const CATALOGUE = {
  // — requests to us —
  invalid_request: {
    category: 'validation',
    status: 422,
    retry: 'never',
    title: 'A field of the request is missing, unknown or has the wrong shape.',
    fix: 'Correct the field named in `param`; unknown fields are refused so that a typing mistake is never ignored.',
  },
  malformed_body: {
    category: 'validation',
    status: 400,
    retry: 'never',
    title: 'The body could not be parsed.',
    fix: 'Send a well-formed body of the documented content type.',
  },
  unsupported_media_type: {
    category: 'validation',
    status: 415,
    retry: 'never',
    title: 'The content type of the request is not accepted here.',
    fix: 'Twilio webhooks are application/x-www-form-urlencoded; the API takes application/json.',
  },
  body_too_large: {
    category: 'validation',
    status: 413,
    retry: 'never',
    title: 'The body is larger than this route accepts.',
    fix: 'Send less; the limit is named in the message.',
  },
  request_refused: {
    category: 'validation',
    status: 400,
    retry: 'never',
    title:
      'The headers cannot be read, or ask for what cannot be served: a range that is not there, a condition that does not hold.',
    fix: 'The status and the message say what is wrong with them. Correct the headers.',
  },
  not_found: {
    category: 'validation',
    status: 404,
    retry: 'never',
    title: 'There is nothing at this address, or it is not yours to see.',
    fix: 'Check the path and the id.',
  },
  conflict: {
    category: 'validation',
    status: 409,
    retry: 'never',
    title: 'The request contradicts what is already there.',
    fix: 'Read the message: it names the thing that stands in the way.',
  },
  unauthenticated: {
    category: 'authentication',
    status: 401,
    retry: 'never',
    title: 'The request carries no valid credential.',
    fix: 'Send `Authorization: Bearer <api key>`, or sign in: `npx darkspere login` prints an address to open.',
  },
  login_token_invalid: {
    category: 'authentication',
    status: 401,
    retry: 'never',
    title: 'The login address was used already, is older than 15 minutes, or was never ours.',
    fix: 'Get a new one: `npx darkspere login`.',
  },
  csrf_refused: {
    category: 'authentication',
    status: 403,
    retry: 'never',
    title: 'A request with a session came from another site, or without its CSRF token.',
    fix: 'Programs use an API key (`npx darkspere keys add`). Pages of ours send the csrf_token of GET /v1/session as `x-csrf-token`, from the address of the console itself.',
  },
  key_in_url: {
    category: 'authentication',
    status: 400,
    retry: 'never',
    title: 'The address carries a key. Addresses end up in logs and histories, so it was not looked at.',
    fix: 'Send it as `Authorization: Bearer <api key>`, and revoke this one (`npx darkspere keys revoke`): others may have seen it.',
  },
  forbidden: {
    category: 'authentication',
    status: 403,
    retry: 'never',
    title: 'The credential is valid but may not do this.',
    fix: 'Use a key that owns the thing, or ask its owner.',
  },
  rate_limited: {
    category: 'rate_limit',
    status: 429,
    retry: 'same',
    title: 'Too many requests.',
    fix: 'Wait for the time in the Retry-After header.',
  },
  query_too_slow: {
    category: 'timeout',
    status: 503,
    retry: 'same',
    title: 'The database needed more than five seconds for the answer, so it was not waited for.',
    fix: 'Ask for less: a narrower filter, a longer word. Texts are answered meanwhile: they come first.',
  },
  internal_error: {
    category: 'unknown',
    status: 500,
    retry: 'same',
    title: 'Something broke on our side.',
    fix: 'Look the trace_id up in the logs; this is a bug worth reporting.',
  },
  // — the webhook side —
  signature_missing: {
    category: 'authentication',
    status: 403,
    retry: 'never',
    title: 'The webhook carries no X-Twilio-Signature header.',
    fix: 'Only Twilio (or a compatible server that signs) may post here.',
  },
  signature_invalid: {
    category: 'authentication',
    status: 403,
    retry: 'never',
    title: 'The webhook signature does not match.',
    fix: 'PUBLIC_URL must be exactly the scheme and host that Twilio calls, and TWILIO_AUTH_TOKEN that account’s token.',
  },
  webhook_malformed: {
    category: 'validation',
    status: 400,
    retry: 'never',
    title: 'The webhook is signed but is not a message of ours.',
    fix: 'The message names the parameter: MessageSid, AccountSid, From, To or an unexpected query string.',
  },
  storage_unavailable: {
    category: 'database',
    status: 503,
    retry: 'same',
    title: 'Neither the database nor the spool could take it, so nothing was stored.',
    fix: 'Bring PostgreSQL back, and give the spool room (DARKSPERE_SPOOL_DIR, DARKSPERE_SPOOL_MAX_MB). Twilio calls the fallback URL of the number meanwhile.',
  },
  carrier_unavailable: {
    category: 'external_api',
    status: 502,
    retry: 'same',
    title: 'The carrier could not be asked which messages it has.',
    fix: 'Check TWILIO_API_URL, the account and the carrier’s status page; it is asked again later.',
  },
  simulator_off: {
    category: 'configuration',
    status: 409,
    retry: 'never',
    title: 'The simulated carrier does not run here: a real one is configured, or gateway and worker run apart.',
    fix: 'Text the number with a phone, or start without the TWILIO_* variables (`npm start`) to play one.',
  },
  // — configuration and start —
  config_invalid: {
    category: 'configuration',
    status: 500,
    retry: 'never',
    title: 'The configuration has problems; all of them are listed.',
    fix: 'Correct the variables named in the list.',
  },
  port_in_use: {
    category: 'configuration',
    status: 500,
    retry: 'never',
    title: 'A port is taken by another program or another copy of Darkspere.',
    fix: 'Stop the other copy or set the variable named in the message to a free port.',
  },
  database_in_use: {
    category: 'configuration',
    status: 500,
    retry: 'never',
    title: 'The data directory is in use by another copy of Darkspere.',
    fix: 'Stop the other copy or set DARKSPERE_DATA_DIR to another directory.',
  },
  database_version: {
    category: 'configuration',
    status: 500,
    retry: 'never',
    title: 'The data directory or the server has a PostgreSQL version this release cannot use.',
    fix: 'The message names both versions. Use PostgreSQL 14 or newer, or the data directory’s own version.',
  },
  database_start_failed: {
    category: 'database',
    status: 500,
    retry: 'same',
    title: 'The embedded PostgreSQL did not start.',
    fix: 'The message carries the last lines of its log.',
  },
  database_unreachable: {
    category: 'database',
    status: 503,
    retry: 'same',
    title: 'The database at DATABASE_URL does not answer.',
    fix: 'Check host, port, user and password.',
  },
  schema_newer: {
    category: 'configuration',
    status: 500,
    retry: 'never',
    title: 'The database was migrated by a newer release.',
    fix: 'Run the newer release, or restore the backup taken before the upgrade.',
  },
  schema_changed: {
    category: 'configuration',
    status: 500,
    retry: 'never',
    title: 'A migration that was already applied has changed since.',
    fix: 'Migrations are forward-only: restore the file and put the change in a new one.',
  },
  spool_unusable: {
    category: 'configuration',
    status: 500,
    retry: 'never',
    title: 'The spool, which keeps texts while the database is away, cannot be written.',
    fix: 'Make DARKSPERE_SPOOL_DIR a directory that this process may write and whose disk has room, or set DARKSPERE_SPOOL_MAX_MB=0 to do without.',
  },
  // — agents —
  agent_refused: {
    category: 'network',
    status: 502,
    retry: 'other',
    title: 'The agent’s address refused the connection, or its name does not resolve.',
    fix: 'Start the agent or correct its endpoint_url.',
  },
  agent_tls: {
    category: 'network',
    status: 502,
    retry: 'other',
    title: 'The TLS handshake with the agent failed.',
    fix: 'Renew or correct the certificate of the endpoint.',
  },
  agent_timeout: {
    category: 'timeout',
    status: 504,
    retry: 'other',
    title: 'The agent did not answer in time; the message names the stage.',
    fix: 'Make the agent faster, or answer 202 and post the reply later.',
  },
  agent_broken: {
    category: 'network',
    status: 502,
    retry: 'other',
    title: 'The connection to the agent broke in the middle of its answer.',
    fix: 'Look at the agent’s own log at that time.',
  },
  agent_http: {
    category: 'agent_error',
    status: 502,
    retry: 'other',
    title: 'The agent answered with an HTTP error.',
    fix: 'The exchange keeps the first 2 KiB of the answer.',
  },
  agent_away: {
    category: 'agent_unavailable',
    status: 502,
    retry: 'other',
    title: 'A proxy could not reach the agent behind it (502 or 504), or a model provider answered with any 5xx.',
    fix: 'It passes when the agent is back: it is asked again for as long as the turn lasts. Where it stays, look at what runs behind the address.',
  },
  agent_busy: {
    category: 'rate_limit',
    status: 502,
    retry: 'other',
    title: 'The agent is over its own limit (429, 503 or 529).',
    fix: 'Raise the agent’s capacity or register another one of the same type.',
  },
  agent_unauthorized: {
    category: 'authentication',
    status: 502,
    retry: 'other',
    title: 'The agent rejected our credential or signature (401 or 403).',
    fix: 'Check the signing secret or api_key that the agent was registered with.',
  },
  agent_contract: {
    category: 'agent_error',
    status: 502,
    retry: 'other',
    title: 'The agent’s answer does not have the agreed shape.',
    fix: 'The exchange keeps the first 2 KiB; compare them with the protocol in the agent guide.',
  },
  agent_too_large: {
    category: 'agent_error',
    status: 502,
    retry: 'other',
    title: 'The agent’s answer is larger than 64 KiB.',
    fix: 'Answer with the text only.',
  },
  agent_said_error: {
    category: 'agent_error',
    status: 502,
    retry: 'other',
    title: 'The agent answered with an error of its own.',
    fix: 'The exchange shows its code and message.',
  },
  agent_cancelled: {
    category: 'agent_error',
    status: 502,
    retry: 'never',
    title: 'The call was cancelled by us (STOP, shutdown or a newer turn).',
    fix: 'Nothing to do.',
  },
  agent_none: {
    category: 'agent_unavailable',
    status: 503,
    retry: 'same',
    title: 'No registered agent can answer this number.',
    fix: 'Register an agent of the number’s type, or bring one back.',
  },
  agent_full: {
    category: 'agent_unavailable',
    status: 503,
    retry: 'other',
    title: 'Every agent that could answer had as many calls under way as it takes.',
    fix: 'Raise max_concurrent_sessions, or register another agent of the same type.',
  },
  agent_out: {
    category: 'agent_unavailable',
    status: 503,
    retry: 'other',
    title: 'Every agent that could answer is out: after five failures in a row only one trial call at a time is made.',
    fix: 'See agent_health_summary for what is wrong; the next trial that is answered ends it.',
  },
  agent_key_invalid: {
    category: 'authentication',
    status: 401,
    retry: 'never',
    title: 'The agent’s API key is not known.',
    fix: 'Use the api_key returned at registration.',
  },
  agent_deactivated: {
    category: 'authentication',
    status: 403,
    retry: 'never',
    title: 'The agent was deactivated: until it is activated again its key opens nothing.',
    fix: 'An agent that deactivated itself may activate itself (POST /api/agents/{id}/activate). If an operator did it, only an operator can: `npx darkspere agents activate`. Registered again, it stays disabled until an operator enables it.',
  },
  registration_secret_invalid: {
    category: 'authentication',
    status: 401,
    retry: 'never',
    title: 'The registration secret is wrong.',
    fix: 'Use the value of REGISTRATION_SECRET.',
  },
  egress_denied: {
    category: 'validation',
    status: 422,
    retry: 'never',
    title: 'The address is not on the public internet and not in DARKSPERE_EGRESS_ALLOW.',
    fix: 'Use a public address, or add the agent’s network to DARKSPERE_EGRESS_ALLOW.',
  },
  probe_failed: {
    category: 'agent_unavailable',
    status: 422,
    retry: 'never',
    title:
      'An agent is probed before any text is sent to it, and one stage failed: dns, tcp, tls, http, handshake or echo.',
    fix: 'The message names the stage and what to correct. An agent that registers before it listens adds `?probe=skip`.',
  },
  probe_unanswered: {
    category: 'agent_unavailable',
    status: 503,
    retry: 'same',
    title: 'No worker has probed the agent in time.',
    fix: 'Start a worker (`darkspere start worker`), or probe from here: `npx darkspere agents probe`.',
  },
  chat_unanswered: {
    category: 'agent_unavailable',
    status: 503,
    retry: 'same',
    title: 'No worker has asked the agent in time.',
    fix: 'Start a worker (`darkspere start worker`), or ask again when those that run have less to do.',
  },
  send_budget_spent: {
    category: 'rate_limit',
    status: 429,
    retry: 'never',
    title: 'The session has used up the texts an agent may send on its own.',
    fix: 'Answer what the person texts: replies are free of this budget. A new session has a new one.',
  },
  sender_busy: {
    category: 'rate_limit',
    status: 429,
    retry: 'same',
    title:
      'More than ten hours of texts that agents and programs began are already queued for this number; nothing was charged.',
    fix: 'Post again after the time in the message and in Retry-After, or raise the limits of the number and its campaign (`darkspere numbers`, `darkspere campaigns`).',
  },
  turn_closed: {
    category: 'validation',
    status: 409,
    retry: 'never',
    title: 'The turn this answers is closed: another agent answered, or the person was told that nobody could.',
    fix: 'Drop the answer; the person already has one.',
  },
  opted_out: {
    category: 'validation',
    status: 409,
    retry: 'never',
    title: 'The person has texted STOP to this number.',
    fix: 'Nothing may be sent until they text START.',
  },
  recipient_not_allowed: {
    category: 'authentication',
    status: 403,
    retry: 'never',
    title: 'Nobody has allowed programs to text this number first.',
    fix: 'An operator allows it, with how the person has agreed: `npx darkspere mcp allow +15551234567 --consent "…"`. An agent reaches the people of its own sessions only.',
  },
  session_over: {
    category: 'validation',
    status: 409,
    retry: 'never',
    title:
      'The person has not texted within the time of a session (24 hours, unless the number says otherwise): there is nothing to reply to.',
    fix: 'Use send_sms; the number has to be on the list of allowed recipients.',
  },
  quiet_hours: {
    category: 'rate_limit',
    status: 429,
    retry: 'same',
    title: 'It is night where the person lives, and they have not just asked anything.',
    fix: 'Send after the time in the message. Hours and time zones: `npx darkspere mcp limits`, and `--time-zone` of `npx darkspere mcp allow`.',
  },
  program_budget_spent: {
    category: 'rate_limit',
    status: 429,
    retry: 'same',
    title: 'The key, or this person, has reached the limit for 24 hours.',
    fix: 'Wait for the time in the message, or raise the limits: `npx darkspere mcp limits`.',
  },
  idempotency_key_reused: {
    category: 'validation',
    status: 422,
    retry: 'never',
    title: 'The idempotency key was used before, for something else.',
    fix: 'A key belongs to one text. Take a new one for a new text, and the same words and recipient for a repeat.',
  },
  agent_deferred: {
    category: 'agent_error',
    status: 502,
    retry: 'never',
    title:
      'The agent put its answer off (202): a replay and a question over the MCP adapter have only what is answered at once.',
    fix: 'Have the agent answer at once (the request of a replay carries `replay: true`), or ask another agent.',
  },
  conversation_taken: {
    category: 'validation',
    status: 409,
    retry: 'never',
    title: 'An operator answers this conversation by hand; nobody else writes meanwhile.',
    fix: 'An agent drops its text: what the operator says comes with the next question. Another operator waits until it is handed back.',
  },
  not_taken_over: {
    category: 'validation',
    status: 409,
    retry: 'never',
    title:
      'The conversation is with its agent: it was handed back, the operator’s time was over, or nobody has taken it over.',
    fix: 'Take it over first.',
  },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof CATALOGUE;

export class DarkspereError extends Error {
  override readonly name = 'DarkspereError';
  readonly code: ErrorCode;
  /** Of HTTP: the code's own, but for `request_refused`. */
  readonly status: number;
  /** The field, variable or parameter that is wrong, where there is one. */
  readonly param: string | undefined;
  /** Facts for logs and exchanges; never message text, phone numbers or secrets. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message?: string,
    options: { param?: string; cause?: unknown; facts?: Record<string, unknown>; status?: number } = {},
  ) {
    super(message ?? CATALOGUE[code].title, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? CATALOGUE[code].status;
    this.param = options.param;
    this.facts = options.facts ?? {};
  }

  get category(): Category {
    return CATALOGUE[this.code].category;
  }

  get retry(): Retry {
    return CATALOGUE[this.code].retry;
  }
}

/**
 * What leaves our API for any error: `{ error: { type, code, message, param?, doc_url, trace_id } }`, and with a probe that failed
 * `probe`, all that it found.
 */
export function errorBody(error: DarkspereError, traceId: string) {
  return {
    error: {
      type: error.category,
      code: error.code,
      message: error.message,
      ...(error.param === undefined ? {} : { param: error.param }),
      doc_url: `/docs/errors#${error.code}`,
      trace_id: traceId,
      ...(error.facts.probe === undefined ? {} : { probe: error.facts.probe }),
    },
  };
}

/** The message of anything that was thrown, for logs and for `cause` chains. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
