// Writes docs/reference/openapi*.json from the routes. --check writes nothing and fails when one is stale.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { type ApiDeps, apiRoutes } from '../src/http/api.ts';
import { type AdapterDeps, adapterRoutes } from '../src/http/mcp-adapter.ts';
import { type RegistrationDeps, registrationRoutes } from '../src/http/registration.ts';
import { createServer } from '../src/http/server.ts';

// No route is ever called here, so none of them gets what it works with.
const DOCUMENTS: Readonly<Record<string, (app: FastifyInstance) => Promise<void>>> = {
  'docs/reference/openapi.json': (app) => apiRoutes(app, { agents: {} } as ApiDeps),
  'docs/reference/openapi-mcp-adapter.json': (app) => adapterRoutes(app, {} as AdapterDeps),
  'docs/reference/openapi-registration.json': (app) => registrationRoutes(app, {} as RegistrationDeps),
};

for (const [name, routes] of Object.entries(DOCUMENTS)) {
  const path = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const app = createServer({ name: 'openapi', logger: pino({ level: 'silent' }), isClosing: () => false });
  await routes(app);
  await app.ready();
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  if ((await readFile(path, 'utf8').catch(() => '')) === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`${name} is stale: run "node bin/run.mjs scripts/openapi.ts".`);
    process.exitCode = 1;
  } else {
    await writeFile(path, text);
    console.log(`${name} written.`);
  }
}
