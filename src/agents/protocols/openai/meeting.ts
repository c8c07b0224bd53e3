// The list of models: the one question to an OpenAI-compatible endpoint that costs nothing.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import type { Approach } from '../../agent.ts';
import { type Meeting, meetByGet, met, none } from '../meeting.ts';
import { failed, parseJson } from '../wire.ts';
import { authorizationOf, settingsOf } from './api.ts';

const models = z.object({ data: z.array(z.object({ id: z.string() })) });

/** Asks for the models. A list that lacks the model of the settings is told, and no failure: names may be aliases. Never throws. */
export async function meetOpenai(approach: Approach, http: Dispatcher): Promise<Meeting> {
  const { agent } = approach;
  const url = new URL(agent.endpointUrl);
  url.pathname = `${url.pathname.replace(/\/(chat\/completions|responses)?\/*$/, '')}/models`;
  const meeting = await meetByGet(approach, http, url, authorizationOf(agent), async (answer) => {
    const read = models.safeParse(parseJson(Buffer.from(await answer.arrayBuffer()))?.value);
    if (!read.success) return failed('agent_contract', 'GET …/models does not answer with a list of models.');
    const offers = read.data.data.map(({ id }) => id);
    const { model } = settingsOf(agent);
    const isListed = offers.includes(model);
    const detail = `its models are listed (${offers.length}), ${model} ${isListed ? 'among them' : 'not among them'}`;
    return met(detail, { offers });
  });
  // A key may be made for questions alone. Whether it is wrong is for a question to show.
  return isRefused(meeting)
    ? { ...meeting, outcome: none(`this key may not list models (${meeting.status})`) }
    : meeting;
}

function isRefused({ outcome }: Meeting): boolean {
  return outcome.kind === 'failed' && outcome.code === 'agent_unauthorized';
}
