// New keys and secrets for old ones: when somebody has replaced what the agent was issued, it asks for its own before the old
// ones end. For a while two secrets are valid, so that no call is refused in between.
import type { Credentials } from './credentials.ts';
import { type Answer, call } from './darkspere-api.ts';

/** Gives back credentials with the newest key and secrets, or null when nothing was replaced or Darkspere is away. */
export async function rotate(
  ownUrl: (path: string) => string,
  credentials: Credentials,
  heartbeat: Answer,
): Promise<Credentials | null> {
  const { key_valid_until: keyUntil, old_secret_valid_until: secretUntil } = heartbeat.body;
  // What the agent has replaced itself is known here by the time until which the old one holds.
  const isKeyOld = typeof keyUntil === 'string';
  const isSecretOld = typeof secretUntil === 'string' && secretUntil !== credentials.old_secret_until;
  if (!isKeyOld && !isSecretOld) return dropEnded(credentials);
  const key = isKeyOld ? await ask(ownUrl('/rotate-key'), credentials, 'api_key') : null;
  // With the key that it has now: of several copies behind one address Darkspere knows by it whose secret is changed.
  const api_key = key?.issued ?? credentials.api_key;
  const secret = isSecretOld ? await ask(ownUrl('/rotate-secret'), { api_key }, 'signing_secret') : null;
  if (key === null && secret === null) return null;
  return {
    ...credentials,
    ...(key === null ? {} : { api_key: key.issued }),
    ...(secret === null
      ? {}
      : {
          signing_secrets: [secret.issued, ...credentials.signing_secrets.slice(0, 1)],
          ...(secret.oldUntil === null ? {} : { old_secret_until: secret.oldUntil }),
        }),
  };
}

/** Without the secret whose time is over; null when there is none. */
function dropEnded({ old_secret_until: until, ...credentials }: Credentials): Credentials | null {
  if (until === undefined || Date.parse(until) > Date.now()) return null;
  return { ...credentials, signing_secrets: credentials.signing_secrets.slice(0, 1) };
}

async function ask(url: string, { api_key }: Pick<Credentials, 'api_key'>, what: 'api_key' | 'signing_secret') {
  const answer = await call(url, { key: api_key, body: {} });
  const issued = answer?.body[what];
  if (answer === null || answer.status >= 300 || typeof issued !== 'string') return null;
  const { old_valid_until: until } = answer.body;
  return { issued, oldUntil: typeof until === 'string' ? until : null };
}
