// Our side of the line for tests: a server that answers what is posted as a test says, and a simulator that posts there.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/channels/simulator/simulator.ts';

export const ACCOUNT = `AC${'0'.repeat(32)}`;
export const TOKEN = 'a token that only this test knows';
export const OURS = '+15550001111';
export const ALSO_OURS = '+15550002222';
export const PERSON = '+15557770001';

export type Hit = { path: string; form: Record<string, string>; signature: string; token: string };

/** A status with the empty TwiML, a whole answer, or none: `hang` never answers, `cut` hangs up, `drip` never ends. */
export type ScriptedAnswer = number | { status?: number; contentType?: string; body: string } | 'hang' | 'cut' | 'drip';

/** A byte at a time until the client leaves. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(' '), 20);
  response.once('close', () => clearInterval(timer));
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>;

/** Collects what is posted and lets a test wait for it. */
export async function startReceiver() {
  const hits: Hit[] = [];
  let wake = (): void => {};
  let answer = (_: Hit): ScriptedAnswer => 200;
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const hit: Hit = {
      path: request.url ?? '',
      form: Object.fromEntries(new URLSearchParams(body)),
      signature: String(request.headers['x-twilio-signature']),
      token: String(request.headers['i-twilio-idempotency-token']),
    };
    const scripted = answer(hit);
    if (scripted === 'cut') request.socket.destroy();
    else if (scripted === 'drip') drip(response.writeHead(200, { 'content-type': 'text/xml' }));
    else if (typeof scripted === 'number') {
      response.writeHead(scripted, { 'content-type': 'text/xml' }).end('<Response/>');
    } else if (scripted !== 'hang') {
      const headers = scripted.contentType === '' ? {} : { 'content-type': scripted.contentType ?? 'text/xml' };
      response.writeHead(scripted.status ?? 200, headers).end(scripted.body);
    }
    hits.push(hit);
    wake();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    hits,
    answerWith(next: (hit: Hit) => ScriptedAnswer) {
      answer = next;
    },
    async waitFor(count: number, accepts: (hit: Hit) => boolean = () => true): Promise<Hit[]> {
      const deadline = Date.now() + 5000;
      for (;;) {
        const found = hits.filter(accepts);
        if (found.length >= count) return found;
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(resolve, deadline - Date.now());
        await promise;
        clearTimeout(timer);
        assert.ok(Date.now() < deadline, `${hits.filter(accepts).length} of ${count} posts came`);
      }
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A simulator without pacing that posts to a receiver. */
export async function startLine(options: Partial<SimulatorOptions> = {}) {
  const receiver = await startReceiver();
  const simulator: Simulator = await startSimulator({
    port: 0,
    accountSid: ACCOUNT,
    authToken: TOKEN,
    numbers: [OURS, ALSO_OURS],
    webhookUrl: `${receiver.url}/webhooks/twilio/messages`,
    pacing: 'off',
    ...options,
  });
  const statusCallback = `${receiver.url}/status?part=01990000-0000-7000-8000-000000000001`;
  return {
    receiver,
    simulator,
    statusCallback,
    /** Creates a message over plain HTTP; rejects when there is no answer. */
    create: (more: Readonly<Record<string, string>> = {}, signal: AbortSignal = AbortSignal.timeout(5000)) =>
      fetch(`${simulator.url}/2010-04-01/Accounts/${ACCOUNT}/Messages.json`, {
        method: 'POST',
        headers: { authorization: AUTHORIZATION },
        body: new URLSearchParams({ From: OURS, To: PERSON, Body: 'x', StatusCallback: statusCallback, ...more }),
        signal,
      }),
    /** Reads from the REST API, `path` under the account. */
    get: (path: string) =>
      fetch(`${simulator.url}/2010-04-01/Accounts/${ACCOUNT}/${path}`, { headers: { authorization: AUTHORIZATION } }),
    /** Changes a message. */
    update: (sid: string, fields: Readonly<Record<string, string>>) =>
      fetch(`${simulator.url}/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid}.json`, {
        method: 'POST',
        headers: { authorization: AUTHORIZATION },
        body: new URLSearchParams(fields),
      }),
    async stop() {
      await simulator.close();
      await receiver.close();
    },
  };
}

export type TestLine = Awaited<ReturnType<typeof startLine>>;

export const AUTHORIZATION = `Basic ${Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64')}`;

const isStatus = (hit: Hit): boolean => hit.path.startsWith('/status');
export const statusesOf = (hits: readonly Hit[]): (string | undefined)[] =>
  hits.filter(isStatus).map((hit) => hit.form.MessageStatus);
