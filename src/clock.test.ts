import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

/** The clock of a process that has just begun. */
const fresh = (name: string) => import(`./clock.ts?${name}`) as Promise<typeof import('./clock.ts')>;

describe('how long the shared time has gone on evenly', () => {
  it('is for ever where it agrees with our own', async () => {
    const { follow, steadyMs } = await fresh('agrees');
    follow(new Date());
    assert.equal(steadyMs(), Number.POSITIVE_INFINITY);
  });

  it('is not known to a process that began after it was set', async () => {
    const { follow, steadyMs } = await fresh('ahead');
    follow(new Date(Date.now() + 60_000));
    assert.ok(Number.isFinite(steadyMs()));
  });

  it('begins anew when it is set', async () => {
    const { follow, now, steadyMs } = await fresh('set');
    follow(new Date());
    follow(new Date(now().getTime() + 60_000));
    assert.ok(Number.isFinite(steadyMs()));
  });
});
