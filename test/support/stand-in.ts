// The built console over answers that a test makes up: for looking at states that the gateway is hard to bring into.
import { once } from 'node:events';
import { createReadStream, existsSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { buildConsole, DIST } from './console-build.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const BEAT_MS = 5_000;

export type Answers = Readonly<Record<string, unknown>>;
const SIGNED_IN: Answers = {
  '/v1/session': { kind: 'operator', name: 'Operator', expires_at: null, csrf_token: 'token' },
  '/v1/instance': {
    version: '0.1.0',
    carrier: 'simulator',
    public_url: 'http://localhost:8000',
    numbers: [{ address: '+15550001111', is_active: true, agent_type: 'default' }],
  },
};

/** Serves the built console; `answers` by path, a function is called with the URL. `tell` sends an event to every page. */
export async function startStandIn(answers: Readonly<Record<string, unknown>>, port = 0) {
  await buildConsole();
  const all: Record<string, unknown> = { ...SIGNED_IN, ...answers };
  const streams = new Set<ServerResponse>();
  const beat = setInterval(() => {
    for (const stream of streams) stream.write(`event: beat\ndata: {"at":"${new Date().toISOString()}"}\n\n`);
  }, BEAT_MS);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname === '/v1/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      response.write('event: beat\ndata: {}\n\n');
      streams.add(response);
      response.on('close', () => streams.delete(response));
      return;
    }
    if (url.pathname.startsWith('/v1/')) {
      const answer = all[url.pathname];
      const body = typeof answer === 'function' ? (answer as (url: URL) => unknown)(url) : answer;
      response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify(
          body ?? { error: { type: 'x', code: 'not_found', message: 'No such answer', doc_url: '', trace_id: '' } },
        ),
      );
      return;
    }
    const named = join(DIST, url.pathname);
    const file = extname(named) !== '' && existsSync(named) ? named : join(DIST, 'index.html');
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
    });
    createReadStream(file).pipe(response);
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answers: all,
    tell(event: string, data: unknown): void {
      for (const stream of streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    async close(): Promise<void> {
      clearInterval(beat);
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
