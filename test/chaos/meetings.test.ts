// Some of all that can meet at the same moment, by chance; `npm run chaos` has every pair and more of three.
import { after, before, describe, test } from 'node:test';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { agentPlay } from './agent-meetings.ts';
import { mailboxPlay } from './mailbox-meetings.ts';
import { checkMeeting, checkSome, type Play } from './meetings.ts';

describe('statements at the same moment are as one after the other', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  async function some<Scene>(play: Play<Scene>): Promise<void> {
    for (const size of [2, 3] as const) await checkSome(db, play, { size, numRuns: 50 });
  }

  test('on a conversation', async () => some(await mailboxPlay(db)));
  test('on one whose number has a campaign and a messaging service', async () => {
    const play = await mailboxPlay(db, true);
    // A STOP and what the carrier says of it come together, and both are about all of the person's conversations.
    await checkMeeting(db, play, { scene: 'an answer leaves', acts: ['a takeover', 'refused: opted out', 'STOP'] });
    await checkMeeting(db, play, {
      scene: 'the carrier has an answer',
      acts: ['a takeover', 'undelivered: opted out', 'STOP'],
    });
    await some(play);
  });
  test('on an agent', async () => some(await agentPlay(db)));
});
