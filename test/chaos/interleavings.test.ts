// The statements of the mailbox and of the outbound queue in any order, against a model of a few numbers.
import { after, before, describe, test } from 'node:test';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { checkInterleavings } from './interleavings.ts';

describe('any order of what gateways, workers and the carrier do', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  test('numbers texts, fences turns, and sends each part once and in order', async () => {
    await checkInterleavings(db, { runs: 150 });
  });
});
