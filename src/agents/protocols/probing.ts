// What the probes of all protocols share: what they ask with, and what an answer says about the agent that gave it.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { now } from '../../clock.ts';
import { DarkspereError, type ErrorCode } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { egressFetch } from '../../security/egress-fetch.ts';
import { MAX_ANSWER_BYTES } from '../../security/post-json.ts';
import type { Agent, AgentCall, Deadlines } from '../agent.ts';
import { failureOf, failureOfStatus } from './wire.ts';

/** up; down, and why; unknown: it answers, and has no way to say how it is. */
export type Finding = {
  readonly outcome: 'up' | 'down' | 'unknown';
  readonly code: ErrorCode | null;
  /** What the agent says of its own load, 0–1. */
  readonly load: number | null;
};

/** One probe of one agent. Never throws. */
export type Probing = {
  readonly agent: Agent;
  readonly http: Dispatcher;
  readonly deadlines: Deadlines;
  readonly signal: AbortSignal;
};

export const UP: Finding = { outcome: 'up', code: null, load: null };
export const UNKNOWN: Finding = { outcome: 'unknown', code: null, load: null };
export const down = (code: ErrorCode): Finding => ({ outcome: 'down', code, load: null });

/** Statuses of a server that does not know the question: what it would say to a person is another matter. */
const UNASKED = new Set([400, 404, 405, 406, 409, 410, 415, 422, 501]);

/** What a status says; null for 200–299, whose body says more. An agent at its limit lives. */
export function findingOfStatus(status: number, headers: IncomingHttpHeaders = {}): Finding | null {
  if (UNASKED.has(status)) return UNKNOWN;
  const failure = failureOfStatus({ status, headers }, now());
  if (failure === null) return null;
  return failure.code === 'agent_busy' ? UP : down(failure.code);
}

/** What a request that failed says. Only what its own code names is the agent's doing. */
export function findingOf(error: unknown): Finding {
  return down(error instanceof DarkspereError ? failureOf(error).code : 'agent_contract');
}

/** Asks with GET; gives what the status says. */
export async function probeWithGet(
  { agent, http, deadlines, signal }: Probing,
  url: URL,
  headers: Readonly<Record<string, string>> = {},
): Promise<Finding> {
  const { credential } = agent;
  const bearer = credential === null ? {} : { authorization: `Bearer ${credential}` };
  try {
    const limits = { deadlines, maxBytes: MAX_ANSWER_BYTES, signal };
    const answer = await egressFetch(http, url, { headers: { ...bearer, ...headers } }, limits);
    // What is in it does not matter, and may be long.
    await answer.body?.cancel();
    return findingOfStatus(answer.status) ?? UP;
  } catch (error) {
    return findingOf(error);
  }
}

/** A call with nothing in it, for protocols whose handshake is their probe. */
export function emptyCall({ agent, deadlines, signal }: Probing): AgentCall {
  const id = newId();
  return {
    agent,
    messageId: id,
    conversationId: id,
    sessionId: id,
    channel: 'sms',
    text: '',
    media: [],
    history: [],
    replyBudget: { maxCharacters: 160, maxSegments: 1 },
    deadlines,
    signal,
    thread: null,
    onProgress() {},
  };
}
