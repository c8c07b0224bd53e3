// Darkspere's own protocol: one signed JSON envelope in, one out.
import { createHash, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { Reply } from './chat.ts';
import { asAgentError, type Chats, type Question } from './chats.ts';
import { createRecent } from './recent.ts';
import { sign, verifySignature } from './signature.ts';

export type EnvelopeAnswer = {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
};

export type EnvelopeParts = {
  readonly chats: Chats;
  readonly name: string;
  readonly version: string | undefined;
  readonly capabilities: readonly string[];
  readonly toleranceSeconds: number;
  /** The newest first: it signs the answers. */
  readonly secrets: () => readonly string[];
  /** True while Darkspere may look whether the agent is there before it has told it a secret. */
  readonly isRegistering: () => boolean;
  /** Sends what was promised with a 202; does not throw. */
  readonly postLater: (question: Question, answer: Promise<Reply>) => Promise<void>;
  /** Hears of a session's start or end. Gives what is wrong with the payload, or null; does not throw. */
  readonly onSession: (type: 'session.start' | 'session.end', payload: unknown) => Promise<string | null>;
  /** Null: an agent that is not registered cannot answer later. */
  readonly canPost: () => boolean;
};

const historyEntry = z.object({
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  timestamp: z.coerce.date().nullish().catch(null),
});
const mediaItem = z.object({ url: z.string(), content_type: z.string().nullish() });
// Fields that are not known are left alone: a newer Darkspere may say more.
const envelope = z.object({
  type: z.string(),
  message_id: z.string().min(1).max(200),
  timestamp: z.coerce.date().nullish().catch(null),
  payload: z.unknown(),
});
const chatPayload = z.object({
  session_id: z.string().min(1),
  conversation_id: z.string().nullish(),
  message: z.string(),
  conversation_history: z.array(historyEntry).default([]),
  media: z.array(mediaItem).default([]),
  channel: z.string().nullish(),
  reply_budget: z
    .object({ max_characters: z.number().positive(), max_segments: z.number().positive() })
    .default({ max_characters: 480, max_segments: 3 }),
  deadline: z.coerce.date().nullish(),
  replay: z.boolean().default(false),
});

/** Answers one envelope. `mayBeUnsigned`: the caller was found to be one that needs no signature. Never throws. */
export function createEnvelope(parts: EnvelopeParts) {
  const { chats } = parts;
  // Twice the tolerance: a clock may be off in both directions.
  const seen = createRecent<true>({ keepMs: 2_000 * parts.toleranceSeconds, most: 100_000 });

  return async (headers: IncomingHttpHeaders, body: Buffer, mayBeUnsigned: boolean, signal: AbortSignal) => {
    const secrets = parts.secrets();
    const refused = refuse(headers, body, secrets, mayBeUnsigned);
    const read = parse(body);
    if (refused !== null && !(parts.isRegistering() && isHarmless(read))) return seal(refused, null, undefined);
    if (read === null) return seal(problem(400, 'bad_envelope', 'The body is not an envelope.'), null, secrets[0]);
    return seal(await handle(read, signal), read.message_id, secrets[0]);
  };

  /** Why the call is not answered, or null. */
  function refuse(headers: IncomingHttpHeaders, body: Buffer, secrets: readonly string[], mayBeUnsigned: boolean) {
    if (secrets.length === 0) {
      if (parts.isRegistering()) return problem(503, 'not_registered', 'The agent is still registering.', true);
      return mayBeUnsigned
        ? null
        : problem(
            401,
            'no_secret',
            'This agent has no secret to check a call with, so it answers none but its own machine’s.',
          );
    }
    const verdict = verifySignature(secrets, headers, body, Date.now(), parts.toleranceSeconds);
    if (verdict !== 'valid') return problem(401, 'bad_signature', WHY[verdict]);
    // By what is signed. The header of signatures is not: one more in it would make the call look new.
    const hash = createHash('sha256').update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`).update(body);
    const signed = hash.digest('base64');
    if (seen.get(signed)) return problem(409, 'replayed', 'This very call came before.');
    seen.set(signed, true);
    return null;
  }

  async function handle({ type, message_id, timestamp, payload }: Envelope, signal: AbortSignal): Promise<Said> {
    switch (type) {
      case 'chat.request':
        return chat(message_id, timestamp ?? null, payload, signal);
      case 'health.check':
        return {
          status: 200,
          type: 'health.status',
          payload: { status: chats.isDraining ? 'draining' : 'healthy', load: chats.load },
        };
      case 'capabilities.request':
        return {
          status: 200,
          type: 'capabilities.response',
          payload: { capabilities: parts.capabilities, version: parts.version ?? '0', limits: {} },
        };
      case 'session.start':
      case 'session.end': {
        const wrong = await parts.onSession(type, payload);
        return wrong === null ? { status: 204 } : problem(400, 'bad_request', wrong);
      }
      default:
        return problem(400, 'unknown_type', 'The envelope has a type that this agent does not know.');
    }
  }

  async function chat(messageId: string, sent: Date | null, payload: unknown, signal: AbortSignal): Promise<Said> {
    const parsed = chatPayload.safeParse(payload);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      return problem(400, 'bad_request', `payload.${issue?.path.join('.')}: ${issue?.message}`);
    }
    const question = questionOf(messageId, sent, parsed.data);
    try {
      const outcome = await chats.ask(question, signal);
      if (outcome.kind === 'reply') return chatResponse(question, outcome.reply);
      if (question.isReplay || question.conversationId === null || !parts.canPost())
        return chatResponse(question, await outcome.answer);
      chats.track(parts.postLater(question, outcome.answer));
      return { status: 202 };
    } catch (error) {
      const { code, message, retryable } = asAgentError(error);
      const isBusy = code === 'busy' || code === 'draining';
      return problem(isBusy ? 503 : 200, code, message, retryable);
    }
  }
}

type Envelope = z.infer<typeof envelope>;
type Said = { readonly status: number; readonly type?: string; readonly payload?: unknown };

const WHY = {
  unsigned: 'The call is not signed.',
  incomplete: 'webhook-id, webhook-timestamp and webhook-signature must come together.',
  too_old: 'webhook-timestamp is too far from the clock of this agent.',
  mismatch: 'The signature does not match the body.',
};

function questionOf(messageId: string, sent: Date | null, payload: z.infer<typeof chatPayload>): Question {
  const { deadline } = payload;
  return {
    message: payload.message,
    messageId,
    sessionId: payload.session_id,
    conversationId: payload.conversation_id ?? null,
    history: payload.conversation_history.map(({ role, content, timestamp }) => ({
      role,
      content,
      timestamp: timestamp ?? null,
    })),
    media: payload.media.map(({ url, content_type }) => ({ url, contentType: content_type ?? null })),
    channel: payload.channel ?? null,
    replyBudget: { maxCharacters: payload.reply_budget.max_characters, maxSegments: payload.reply_budget.max_segments },
    // In time that passes here: the two clocks need not agree.
    deadline:
      deadline == null ? null : sent === null ? deadline : new Date(Date.now() + deadline.getTime() - sent.getTime()),
    isReplay: payload.replay,
    protocol: 'envelope',
  };
}

function chatResponse({ sessionId }: Question, { message, media, endSession }: Reply): Said {
  const payload = {
    session_id: sessionId,
    message,
    ...(media ? { media } : {}),
    ...(endSession ? { end_session: true } : {}),
  };
  return { status: 200, type: 'chat.response', payload };
}

function parse(body: Buffer): Envelope | null {
  try {
    return envelope.safeParse(JSON.parse(body.toString('utf8'))).data ?? null;
  } catch {
    return null;
  }
}

/** Questions about the agent, not about a person: their answers stand in the registration anyway. */
function isHarmless(read: Envelope | null): boolean {
  return read?.type === 'health.check' || read?.type === 'capabilities.request';
}

function problem(status: number, code: string, message: string, retryable = false): Said {
  return { status, type: 'error', payload: { code, message, retryable } };
}

function seal({ status, type, payload }: Said, inReplyTo: string | null, secret: string | undefined): EnvelopeAnswer {
  const busy: Record<string, string> = status === 503 ? { 'retry-after': '1' } : {};
  const id = randomUUID();
  const nowMs = Date.now();
  const body =
    type === undefined
      ? ''
      : JSON.stringify({
          type,
          message_id: id,
          ...(inReplyTo === null ? {} : { in_reply_to: inReplyTo }),
          timestamp: new Date(nowMs).toISOString(),
          payload,
        });
  const signature = secret === undefined ? {} : sign(secret, id, nowMs, body);
  return {
    status,
    headers: { ...(body === '' ? {} : { 'content-type': 'application/json' }), ...signature, ...busy },
    body,
  };
}
