// The list of models: the one question to an OpenAI-compatible endpoint that costs nothing.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../../clock.ts';
import type { DarkspereError } from '../../../errors.ts';
import { guardedRequest } from '../../../security/guarded-request.ts';
import type { AgentCall } from '../../agent.ts';
import type { Greeting } from '../greeting.ts';
import { failed, failureOf, failureOfStatus, parseJson } from '../wire.ts';
import { settingsOf } from './api.ts';

/** Providers list hundreds. */
const MAX_LIST_BYTES = 1_048_576;
/** Servers that only answer chats. */
const NO_LIST = new Set([400, 404, 405, 501]);

const models = z.object({ data: z.array(z.object({ id: z.string() })) });

/** Asks for the models. A list that lacks the model of the settings is told, and no failure: names may be aliases. Never throws. */
export async function greetOpenai(call: AgentCall, http: Dispatcher): Promise<Greeting> {
  const { status, bytes, error } = await get(call, http);
  if (error !== null) return { outcome: failureOf(error), status };
  if (status !== null && NO_LIST.has(status))
    return { outcome: { kind: 'none', detail: `it has no list of models (${status})` }, status };
  const byStatus = failureOfStatus({ status: status ?? 0, headers: {} }, now());
  if (byStatus !== null) return { outcome: byStatus, status };
  const read = models.safeParse(parseJson(bytes)?.value);
  if (!read.success)
    return { outcome: failed('agent_contract', 'GET …/models does not answer with a list of models'), status };
  const { model } = settingsOf(call);
  const isListed = read.data.data.some(({ id }) => id === model);
  const detail = `its models are listed (${read.data.data.length}), ${model} ${isListed ? 'among them' : 'not among them'}`;
  return { outcome: { kind: 'met', detail }, status };
}

type Got = { readonly status: number | null; readonly bytes: Buffer; readonly error: DarkspereError | null };

function get(call: AgentCall, http: Dispatcher): Promise<Got> {
  const { promise, resolve } = Promise.withResolvers<Got>();
  const { credential, endpointUrl } = call.agent;
  const url = new URL(endpointUrl);
  url.pathname = `${url.pathname.replace(/\/(chat\/completions|responses)?\/*$/, '')}/models`;
  const chunks: Buffer[] = [];
  let status: number | null = null;
  guardedRequest(
    http,
    url,
    {
      method: 'GET',
      headers: {
        accept: 'application/json',
        ...(credential === null ? {} : { authorization: `Bearer ${credential}` }),
      },
      body: null,
      deadlines: call.deadlines,
      maxBytes: MAX_LIST_BYTES,
      signal: call.signal,
    },
    {
      head(received) {
        status = received;
      },
      data: (chunk) => void chunks.push(chunk),
      end: () => resolve({ status, bytes: Buffer.concat(chunks), error: null }),
      fail: (error) => resolve({ status, bytes: Buffer.alloc(0), error }),
    },
  );
  return promise;
}
