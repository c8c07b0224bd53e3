// A program that registers itself at a world as agents do, and the calls that it gets.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { addApiKey } from '../../src/security/api-keys.ts';
import type { Scope } from '../../src/security/principal.ts';
import { verifyWebhook } from '../../src/security/standard-webhooks.ts';
import { type Answer, call } from './operator.ts';
import type { World } from './world.ts';

export type Heard = {
  readonly type: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

export type Registrant = Awaited<ReturnType<typeof startRegistrant>>;

/** A real envelope agent that answers for itself and says `name` to everybody. */
export async function startRegistrant(world: World, name: string) {
  const heard: Heard[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const { type, message_id, payload } = JSON.parse(body);
    heard.push({ type, headers: request.headers, body });
    const said: Record<string, object> = {
      'capabilities.request': { type: 'capabilities.response', payload: { capabilities: ['chat'] } },
      'health.check': { type: 'health.status', payload: { status: 'healthy', load: 0 } },
      'chat.request': { type: 'chat.response', payload: { session_id: payload.session_id, message: name } },
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ message_id: `${message_id}-answer`, in_reply_to: message_id, ...said[type] }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/chat`;
  const about = { agent_name: name, agent_type: 'chat', endpoint_url: url, capabilities: ['chat'] };
  return {
    url,
    heard,
    questions: () => heard.filter(({ type }) => type === 'chat.request'),
    about,
    register: (more: object = {}, query = '') =>
      atRegistration(world, 'POST', `/api/agents/register${query}`, {
        registration_secret: world.registrationSecret,
        ...about,
        ...more,
      }),
    /** Which of these secrets a call was signed with. */
    signers: ({ headers, body }: Heard, secrets: Readonly<Record<string, string>>) =>
      Object.keys(secrets).filter((key) => verifyWebhook(secrets[key]!, headers, body, new Date()) === 'valid'),
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** One request to the registration service. */
export function atRegistration(
  world: World,
  method: string,
  path: string,
  body?: unknown,
  key?: string,
): Promise<Answer> {
  return call(
    world.urls.agentRegistration!,
    method,
    path,
    body,
    key === undefined ? {} : { authorization: `Bearer ${key}` },
  );
}

export const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.code}`;
export const errorOf = ({ status, json }: Answer) => [status, json?.error?.code, json?.error?.param];

/** What tests of the service do again and again, in whichever world there is then. */
export function registrationDesk(world: () => World) {
  return {
    start: async (t: TestContext, name: string): Promise<Registrant> => {
      const agent = await startRegistrant(world(), name);
      t.after(() => agent.close());
      return agent;
    },
    api: (method: string, path: string, body?: unknown, key?: string) =>
      atRegistration(world(), method, path, body, key),
    joined: async (agent: Registrant, more: object = {}) => {
      const answer = await agent.register(more);
      assert.equal(answer.status, 201, answer.text);
      const { agent_id: id, api_key: key, signing_secret: secret } = answer.json;
      return { id, key, secret, json: answer.json, at: `/api/agents/${id}` } as Record<
        'id' | 'key' | 'secret' | 'at',
        string
      > & { json: Answer['json'] };
    },
  };
}

let accounts = 0;

/** A key of an account, as accounts will have them. */
export async function accountKey(world: World, scopes: readonly Scope[]): Promise<{ key: string; accountId: string }> {
  const { key, id } = await addApiKey(world.database.pools.admin, { name: `account ${++accounts}`, scopes });
  const accountId = crypto.randomUUID();
  await world.sql`update api_keys set account_id = ${accountId} where id = ${id}`;
  return { key, accountId };
}
