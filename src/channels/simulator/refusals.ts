// Why Twilio refuses a request: code → HTTP status and sentence. Facts of the vendor, kept as data.
// Source: https://www.twilio.com/docs/api/errors (one page per code).

const REFUSALS = {
  20003: [401, 'Authentication Error - invalid username'],
  20404: [404, 'The requested resource was not found'],
  20429: [429, 'Too Many Requests'],
  20500: [500, 'Internal Server Error'],
  21211: [400, "Invalid 'To' Phone Number"],
  21212: [400, "Invalid 'From' Phone Number"],
  21266: [400, "'To' and 'From' number cannot be the same"],
  21408: [400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number"],
  21602: [400, 'Message body is required.'],
  21603: [400, "A 'From' phone number is required."],
  21604: [400, "A 'To' phone number is required."],
  21606: [400, "The 'From' phone number is not a valid, message-capable Twilio phone number for this destination"],
  21609: [400, "The 'StatusCallback' URL is not a valid URL"],
  21610: [400, 'Attempt to send to unsubscribed recipient'],
  21611: [400, "This 'From' number has exceeded the maximum number of queued messages"],
  21608: [400, 'The number is unverified. Trial accounts cannot send messages to unverified numbers'],
  21612: [400, "The 'To' phone number is not currently reachable from the 'From' phone number"],
  21614: [400, "'To' number is not a valid mobile number"],
  21617: [400, 'The concatenated message body exceeds the 1600 character limit.'],
  21620: [400, 'Invalid media URL(s)'],
  21623: [400, 'Number of media files exceeds allowed limit'],
  21624: [400, 'Invalid validity period value'],
  21655: [400, 'The ContentSid is invalid'],
  21701: [400, 'The Messaging Service does not exist'],
  21910: [400, "Invalid 'From' and 'To' pair. 'From' and 'To' should be of the same channel"],
  30409: [400, 'This message cannot be canceled'],
  30410: [400, 'Provider Timeout Error'],
  35111: [400, 'SendAt timestamp is missing'],
  35114: [400, 'SendAt time must be between 300 seconds and 35 days (3024000 seconds) in the future, inclusive'],
  35118: [400, 'MessagingServiceSid is required to schedule a message'],
  63007: [400, 'Twilio could not find a Channel with the specified From address'],
} as const satisfies Record<number, readonly [status: number, message: string]>;

export type RefusalCode = keyof typeof REFUSALS;

function isKnown(code: number): code is RefusalCode {
  return Object.hasOwn(REFUSALS, code);
}

/** The HTTP status and JSON body with which Twilio says no; a code that is not in the table is a plain 400. */
export function refusal(code: number, otherStatus?: number): { status: number; body: string } {
  const [usual, message] = isKnown(code) ? REFUSALS[code] : [400, 'The request was refused'];
  const status = otherStatus ?? usual;
  const moreInfo = `https://www.twilio.com/docs/errors/${code}`;
  return { status, body: JSON.stringify({ code, message, more_info: moreInfo, status }) };
}

/** Recipients that Twilio's test credentials refuse; they end the same way here. */
export const MAGIC_TO: ReadonlyMap<string, RefusalCode> = new Map([
  ['+15005550001', 21211],
  ['+15005550002', 21612],
  ['+15005550003', 21408],
  ['+15005550004', 21610],
  ['+15005550009', 21614],
]);

/** Senders of the test credentials. 0006 is the one that works. */
export const MAGIC_FROM: ReadonlyMap<string, RefusalCode | 'ok'> = new Map<string, RefusalCode | 'ok'>([
  ['+15005550001', 21212],
  ['+15005550006', 'ok'],
  ['+15005550007', 21606],
  ['+15005550008', 21611],
]);

/**
 * Where an accepted message with this error ends. Codes below 30000 and queue or account problems mean that it never
 * left Twilio (`failed`); the carriers' own refusals come after `sent` (`undelivered`).
 */
export function failedState(code: number): 'failed' | 'undelivered' {
  return code < 30_000 || code === 30_001 || code === 30_002 || code === 30_036 ? 'failed' : 'undelivered';
}
