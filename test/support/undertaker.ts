// The process beside a test (left-behind.ts): waits for its end and cleans up after it.
import { createInterface } from 'node:readline';
import { type Heirloom, removeData, unmount } from './left-behind.ts';

/** By their line, in the order in which they were made. */
const kept = new Map<string, Heirloom>();
for await (const line of createInterface({ input: process.stdin })) {
  const { keep, drop } = JSON.parse(line) as { keep?: Heirloom; drop?: Heirloom };
  if (keep) kept.set(JSON.stringify(keep), keep);
  else kept.delete(JSON.stringify(drop));
}

const all = [...kept.values()];
for (const what of all) {
  if (!('pid' in what)) continue;
  try {
    process.kill(what.pid, 'SIGKILL');
  } catch {
    // It has ended with the test.
  }
}
// Servers before what they lie on.
for (const what of all) if ('dataDir' in what) await removeData(what.dataDir);
for (const what of all) if ('mount' in what) await unmount(what.mount);
