// A copy of Darkspere reduced to its database, in a process that a test can kill: prints one JSON line when ready.
import { startEmbedded } from '../../src/database/embedded.ts';

const say = (fact: object) => process.stdout.write(`${JSON.stringify(fact)}\n`);

try {
  const embedded = await startEmbedded({ dataDir: process.argv[2]! });
  say({ pid: embedded.pid, url: embedded.url });
  process.once('SIGTERM', () => embedded.stop());
} catch (error) {
  say({ code: (error as { code?: string }).code ?? String(error) });
}
