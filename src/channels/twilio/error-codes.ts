import codes from './error-codes.json' with { type: 'json' };

/**
 * What may follow an error code of Twilio's: `no` = never this request again; `later` = surely not sent, try again;
 * `amb` = nobody knows, ask before anything else; `cfg` = the account or sender is wrongly set up, an operator has to act.
 */
export type ErrorCodeFacts = {
  readonly action: 'no' | 'later' | 'amb' | 'cfg';
  /** For the operator. */
  readonly meaning: string;
  /** Worth waiting before the next try. With `cfg`: worth trying again at all, because it may heal by itself. */
  readonly afterMs?: number;
  /** The person has opted out. */
  readonly optedOut?: boolean;
};

const FACTS: ReadonlyMap<string, ErrorCodeFacts> = new Map(Object.entries(codes as Record<string, ErrorCodeFacts>));

/** What we know of a Twilio error code (`'21610'`); null when it is a new one. Codes: https://www.twilio.com/docs/api/errors */
export function explainErrorCode(code: string): ErrorCodeFacts | null {
  return FACTS.get(code) ?? null;
}
