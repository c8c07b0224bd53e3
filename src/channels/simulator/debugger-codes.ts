// Twilio's debugger codes for a webhook of ours that failed, in words. Source: https://www.twilio.com/docs/api/errors
const MEANINGS: Readonly<Record<number, string>> = {
  11200: 'Our webhook answered with an error, or not at all.',
  11205: 'Nobody listened at our webhook.',
  11210: 'The host of our webhook does not exist.',
  11750: 'Our webhook answered more than 64 kB.',
  12100: 'Our webhook answered something that is no TwiML.',
  12300: 'Our webhook answered with a content type that Twilio does not take.',
};

export function explainDebuggerCode(code: number): string | null {
  return MEANINGS[code] ?? null;
}
