// Loaded before each file of tests: one whose tests are over and which does not end, because a test that failed left a server
// open, say, ends with an error that says what keeps it. The runner would wait for it for ever.
import { after } from 'node:test';

/** What files stop after their last test (databases, programs) takes its time. */
const GRACE_MS = 60_000;

after(() => {
  setTimeout(() => {
    process.stderr.write(`The tests are over and something is still open: ${process.getActiveResourcesInfo()}\n`);
    process.exit(1);
  }, GRACE_MS).unref();
});
