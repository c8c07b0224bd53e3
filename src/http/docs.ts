// What can be read about the API at the gateway itself, without the internet: /docs, /docs/errors, where the doc_url of every
// error leads, and /llms.txt for programs that read.
import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';
import { CATALOGUE, type ErrorCode } from '../errors.ts';
import { apiPage, apiSummary, type OpenApi } from './api-page.ts';
import { inline, type PageLink, prose, sendPage, styleRoute } from './pages.ts';

const ERRORS = new URL('../../docs/reference/errors.md', import.meta.url);

/** On every service: a page for people who follow a doc_url, the reference as it was generated for everybody else. */
export function docsRoutes(app: FastifyInstance): void {
  styleRoute(app);
  app.get('/docs/errors', async (request, reply) => {
    if (request.headers.accept?.includes('text/html'))
      return sendPage(reply, 200, { ...ERROR_PAGE, links: linksOf(app) });
    return reply.type('text/markdown; charset=utf-8').send(await readFile(ERRORS, 'utf8'));
  });
}

/** The API, on the service that has it; `document` is where it is as OpenAPI. */
export function apiDocsRoutes(app: FastifyInstance, document: string): void {
  const api = () => app.swagger() as unknown as OpenApi;
  app.get('/docs', async (_request, reply) =>
    sendPage(reply, 200, {
      ...apiPage(api()),
      links: [...linksOf(app), { href: document, label: 'openapi.json' }],
    }),
  );
  app.get('/llms.txt', async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(apiSummary(api(), document)),
  );
}

/** The pages of this service. Not every one has a console, or an API. */
function linksOf(app: FastifyInstance): PageLink[] {
  const has = (url: string) => app.hasRoute({ method: 'GET', url });
  return [
    ...(has('/v1/session') ? [{ href: '/', label: 'Console' }] : []),
    ...(has('/docs') ? [{ href: '/docs', label: 'API' }] : []),
    { href: '/docs/errors', label: 'Errors' },
  ];
}

const RETRY = {
  same: 'The same request may be tried again.',
  other: 'Another agent is tried.',
  never: 'Trying again changes nothing.',
} as const;

const ERROR_PAGE = {
  title: 'Errors',
  body: `<h1>Errors</h1>${prose(
    'A program looks at `code`, which never changes its meaning. `message` is for people and may change; `trace_id` is in the log.',
  )}${(Object.keys(CATALOGUE) as ErrorCode[])
    .map((code) => {
      const { title, fix, category, status, retry } = CATALOGUE[code];
      return `<h2 class="code" id="${code}"><code>${code}</code></h2><p>${inline(title)}</p><p><strong>What to do:</strong> ${inline(fix)}</p><p class="muted">${category} · HTTP ${status} · ${RETRY[retry]}</p>`;
    })
    .join('')}`,
};
