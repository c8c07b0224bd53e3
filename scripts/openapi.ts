// Writes docs/reference/openapi.json from the routes. --check writes nothing and fails when it is stale.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { type ApiDeps, apiRoutes } from '../src/http/api.ts';
import { createServer } from '../src/http/server.ts';

const path = fileURLToPath(new URL('../docs/reference/openapi.json', import.meta.url));
const app = createServer({ name: 'openapi', logger: pino({ level: 'silent' }), isClosing: () => false });
// No route is ever called here, so none of them gets what it works with.
await apiRoutes(app, {} as ApiDeps);
await app.ready();
const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
await app.close();

if ((await readFile(path, 'utf8').catch(() => '')) !== text) {
  if (process.argv.includes('--check')) {
    console.error('docs/reference/openapi.json is stale: run "node bin/run.mjs scripts/openapi.ts".');
    process.exitCode = 1;
  } else {
    await writeFile(path, text);
    console.log('docs/reference/openapi.json written.');
  }
}
