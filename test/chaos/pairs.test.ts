// Some of all pairs of statements at the same moment, by chance; `npm run chaos` has every one.
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { agentPlay } from './agent-pairs.ts';
import { mailboxPlay } from './mailbox-pairs.ts';
import { checkPair, type Play, pairsOf } from './pairs.ts';

describe('two statements at the same moment are as one after the other', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  async function some<Scene>(play: Play<Scene>): Promise<void> {
    const pair = fc.constantFrom(...pairsOf(play));
    await fc.assert(
      fc.asyncProperty(pair, (each) => checkPair(db, play, each)),
      { numRuns: 100, endOnFailure: true },
    );
  }

  test('on a conversation', async () => some(await mailboxPlay(db)));
  test('on an agent', async () => some(await agentPlay(db)));
});
