// The console: static files under / of the gateway, with headers that allow nothing but themselves (docs/guide/console.md).
// scripts/console.ts builds them.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { pageHeaders, sendPage } from './pages.ts';

const DIST = fileURLToPath(new URL('../../console/dist', import.meta.url));

/** What the gateway serves besides: nothing of the console ever answers there. */
const NOT_OURS = /^\/(?:v1|webhooks?|docs|mcp|api|assets|health|ready|metrics)(?:\/|$)/;
/** Vite puts a hash of the content into these names: what was fetched once never changes. */
const HASHED = /[/\\]assets[/\\][^/\\]+-[\w-]{8,}\.\w+(?:\.br|\.gz)?$/;
/** Compressed files go under the name of what they hold, the page under the addresses it knows; `..` leads nowhere. */
const UNSERVED = /\.(?:html|br|gz)$|(?:^|[/\\])\.\.?(?:[/\\]|$)|\/\/|[\\\0]/;
/** Where index.html wants the nonce for styles that a part of the page makes while it runs. */
const NONCE = '__CSP_NONCE__';

/** Adds the console, or a page that says how to build it. `directory` is where the build is. */
export async function consoleRoutes(app: FastifyInstance, { directory = DIST } = {}): Promise<void> {
  await app.register(fastifyStatic, {
    serve: false,
    root: directory,
    // Compressed files lie beside the others since the build, smaller than what could be made on the fly.
    preCompressed: true,
    cacheControl: false,
    dotfiles: 'ignore',
    // The build may be missing, and may come while the gateway runs.
    suppressWarning: true,
    setHeaders: (reply, path) => {
      const cache = HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache';
      reply.headers({ ...pageHeaders(), 'cache-control': cache });
    },
  });

  app.get('/*', async (request, reply) => {
    const path = pathOf(request);
    const isFile = /\.\w+$/.test(path);
    if (isFile && !UNSERVED.test(path)) return reply.sendFile(path);
    if (isFile || NOT_OURS.test(path) || !isNavigation(request, path)) return reply.callNotFound();
    return sendIndex(reply, directory);
  });
}

/** Decoded; what cannot be decoded is an address of nothing. */
function pathOf(request: FastifyRequest): string {
  try {
    return decodeURIComponent((request.raw.url ?? '/').split('?', 1)[0]!);
  } catch {
    return '/v1';
  }
}

/** Somebody opens an address; a program that asks for data must hear that there is none. */
function isNavigation({ headers }: FastifyRequest, path: string): boolean {
  return path === '/' || headers.accept?.includes('text/html') === true;
}

async function sendIndex(reply: FastifyReply, directory: string): Promise<FastifyReply> {
  const html = await readFile(join(directory, 'index.html'), 'utf8').catch(() => null);
  if (html === null) return sendPage(reply, 503, NOT_BUILT);
  const nonce = html.includes(NONCE) ? randomBytes(16).toString('base64') : undefined;
  return reply
    .headers({ ...pageHeaders(nonce), 'cache-control': 'no-store' })
    .type('text/html; charset=utf-8')
    .send(nonce === undefined ? html : html.replaceAll(NONCE, nonce));
}

const NOT_BUILT = {
  title: 'No console yet',
  body:
    '<h1>The console is not built</h1>' +
    '<p>Darkspere runs and answers texts; only these pages are missing. <code>npm start</code> builds them when it can, and says why when it cannot. By hand:</p>' +
    '<pre><code>npm run console</code></pre>' +
    '<p>Then load this page again; nothing has to be restarted. Everything the console shows is at <code>/v1</code>, described at <a href="/docs">/docs</a>.</p>',
};
