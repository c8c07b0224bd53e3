// Ports that a test chooses itself, for an address that stays the same over restarts.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below what systems give to connections and to whoever asks for any port (Linux: from 32,768): nobody gets one of these by chance. */
const FIRST = 20_000;
const COUNT = 12_000;

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const port = FIRST + Math.floor(Math.random() * COUNT);
  const server = createServer();
  try {
    await once(server.listen(port), 'listening');
  } catch {
    return freePort();
  }
  server.close();
  await once(server, 'close');
  return port;
}
