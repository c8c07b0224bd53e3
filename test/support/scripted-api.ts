// For the tests of channels/twilio: a carrier that answers exactly as told, and remembers what it was asked.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Asked = {
  readonly method: string;
  readonly url: URL;
  readonly authorization: string;
  readonly form: URLSearchParams;
};
export type Script = (response: ServerResponse, asked: Asked, request: IncomingMessage) => void;

/** Starts it on a free port of the loopback; `script` may be exchanged between calls. */
export async function startScriptedApi(script: Script = () => {}) {
  const asked: Asked[] = [];
  const api = { url: '', asked, script, close };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const call: Asked = {
      method: request.method ?? '',
      url: new URL(request.url ?? '/', api.url),
      authorization: request.headers.authorization ?? '',
      form: new URLSearchParams(Buffer.concat(chunks).toString()),
    };
    asked.push(call);
    api.script(response, call, request);
  });
  async function close(): Promise<void> {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  api.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return api;
}

/** Answers with JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Script {
  return (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
