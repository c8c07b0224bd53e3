// Posts to the customer's URLs the way Twilio does: form body, signature, 15 s, one retry when no connection was made.
import { createHmac, randomUUID } from 'node:crypto';
import { Agent, request } from 'undici';

export type Fields = Record<string, string>;

/** HTTP status of the answer; 0 when there was none. */
export type PostResult = { readonly status: number; readonly problem: string | null };

export type Webhooks = {
  post(url: string, fields: Fields): Promise<PostResult>;
  close(): Promise<void>;
};

/**
 * Twilio's signature: base64(HMAC-SHA1(token, url + every key and value, sorted by key)). Written here once more, and
 * not shared with the code that verifies it, so that a mistake on one side cannot hide on the other.
 * Source: https://www.twilio.com/docs/usage/security#validating-requests
 */
export function sign(authToken: string, url: string, fields: Fields): string {
  let text = url;
  for (const key of Object.keys(fields).sort()) text += key + fields[key];
  return createHmac('sha1', authToken).update(text).digest('base64');
}

/** Failures before a connection stood: the only ones that Twilio retries by default (`#rp=ct`, `#rc=1`). */
const NO_CONNECTION = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function codeOf(thrown: unknown): string {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'ERROR';
}

export function createWebhooks(options: { authToken: string; timeoutMs: number; connections: number }): Webhooks {
  const dispatcher = new Agent({
    // Requests beyond these wait inside the pool, so a slow customer bounds what is in flight, not what is kept.
    connections: options.connections,
    pipelining: 1,
    connect: { timeout: 5000 },
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
  });

  const attempt = async (url: string, headers: Record<string, string>, body: string): Promise<number> => {
    const answer = await request(url, { method: 'POST', dispatcher, headers, body });
    await answer.body.dump();
    return answer.statusCode;
  };

  return {
    async post(configuredUrl, fields) {
      // The fragment carries Twilio's connection settings; it is neither sent nor signed.
      const url = configuredUrl.split('#', 1)[0]!;
      const headers = {
        'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
        accept: '*/*',
        'user-agent': 'TwilioProxy/1.1',
        'x-twilio-signature': sign(options.authToken, url, fields),
        'i-twilio-idempotency-token': randomUUID(),
      };
      const body = new URLSearchParams(fields).toString();
      for (let retries = 1; ; retries--) {
        try {
          const status = await attempt(url, headers, body);
          return { status, problem: status >= 200 && status < 300 ? null : `HTTP ${status}` };
        } catch (thrown) {
          const code = codeOf(thrown);
          if (retries === 0 || !NO_CONNECTION.has(code)) return { status: 0, problem: code };
        }
      }
    },
    // destroy, not close: a customer that hangs must not hold the end of a program or a test.
    close: () => dispatcher.destroy(),
  };
}
