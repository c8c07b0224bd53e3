// Where the doc_url of every error leads: the error reference, as it was generated for this release.
import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';

const ERRORS = new URL('../../docs/reference/errors.md', import.meta.url);

export function docsRoutes(app: FastifyInstance): void {
  app.get('/docs/errors', async (_request, reply) => {
    return reply.type('text/markdown; charset=utf-8').send(await readFile(ERRORS, 'utf8'));
  });
}
