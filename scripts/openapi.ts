// Writes docs/reference/openapi.json and docs/reference/openapi-mcp-adapter.json from the routes. --check writes nothing and
// fails when one is stale.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { type ApiDeps, apiRoutes } from '../src/http/api.ts';
import { type AdapterDeps, adapterRoutes } from '../src/http/mcp-adapter.ts';
import { createServer } from '../src/http/server.ts';

// No route is ever called here, so none of them gets what it works with.
const SERVICES: Readonly<Record<string, (app: FastifyInstance) => Promise<void>>> = {
  'openapi.json': (app) => apiRoutes(app, {} as ApiDeps),
  'openapi-mcp-adapter.json': (app) => adapterRoutes(app, {} as AdapterDeps),
};

for (const [name, addRoutes] of Object.entries(SERVICES)) {
  const path = fileURLToPath(new URL(`../docs/reference/${name}`, import.meta.url));
  const app = createServer({ name: 'openapi', logger: pino({ level: 'silent' }), isClosing: () => false });
  await addRoutes(app);
  await app.ready();
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  if ((await readFile(path, 'utf8').catch(() => '')) === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`docs/reference/${name} is stale: run "node bin/run.mjs scripts/openapi.ts".`);
    process.exitCode = 1;
  } else {
    await writeFile(path, text);
    console.log(`docs/reference/${name} written.`);
  }
}
