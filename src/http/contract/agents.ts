// Agents: how they join, what is known of them, what operators do with them.
import { z } from 'zod';
import { AgentRef } from './access.ts';
import { id, PageQuery, page, time } from './basics.ts';

const Protocol = z.enum(['envelope', 'openai', 'mcp', 'a2a', 'webhook']);
const Status = z.enum(['registered', 'active', 'degraded', 'disabled', 'deactivated']);

export const StageResult = z.object({
  stage: z.enum(['dns', 'tcp', 'tls', 'http', 'handshake', 'echo']),
  /** `unknown`: it went as it may go with a good agent, and shows nothing. `skipped`: there is no such stage here. */
  outcome: z.enum(['passed', 'failed', 'unknown', 'skipped']),
  duration_ms: z.number(),
  detail: z.string(),
});
/** A staged probe: the way of a text to the agent, one stage after the other. */
export const AgentProbe = z.object({
  ok: z.boolean(),
  depth: z.enum(['full', 'handshake']),
  at: time,
  duration_ms: z.number(),
  failed_stage: StageResult.shape.stage.nullable(),
  code: z.string().nullable(),
  reason: z.string().nullable(),
  /** What to correct. */
  hint: z.string().nullable(),
  stages: z.array(StageResult),
});

export const Agent = AgentRef.extend({
  type: z.string(),
  protocol: Protocol,
  endpoint_url: z.string(),
  capabilities: z.array(z.string()),
  version: z.string().nullable(),
  /** `disabled`: by an operator where `disabled` says so, else by three calls or probes in a row that failed, or one call while it was coming back. */
  status: Status,
  health_score: z.number().int(),
  response_ms: z.number(),
  active_sessions: z.number().int(),
  max_concurrent_sessions: z.number().int(),
  consecutive_failures: z.number().int(),
  /** Of its calls, 0 to 1, each newest one weighing a tenth. */
  success_rate: z.number(),
  /** Time to answer over the last quarter of an hour; null: too few calls to say. */
  p50_ms: z.number().nullable(),
  p95_ms: z.number().nullable(),
  p99_ms: z.number().nullable(),
  /** `open`: called by one trial at a time, which is under way when it is `half_open`. */
  circuit: z.enum(['closed', 'open', 'half_open']),
  /** Over all workers; the most is `max_concurrent_sessions`. */
  calls_in_progress: z.number().int(),
  last_success_at: time.nullable(),
  last_failure_at: time.nullable(),
  account_id: id.nullable().meta({
    description:
      'Asked for this account’s conversations alone, so that no text reaches it before numbers belong to accounts; null: for everybody’s.',
  }),
  /** It gets no new sessions while others can take them. */
  draining: z.object({ since: time, by: z.string(), reason: z.string().nullable() }).nullable(),
  /** By an operator: it is asked nothing. */
  disabled: z.object({ at: time, by: z.string(), reason: z.string() }).nullable(),
  last_heartbeat_at: time.nullable(),
  /** 0 to 1, as it said with its newest heartbeat. */
  load: z.number().nullable(),
  registered_at: time,
});
export const AgentList = page(Agent);
export const AgentsQuery = PageQuery.extend({
  /** Without it all but the deactivated ones. */
  status: Status.optional(),
  type: z.string().min(1).max(50).optional(),
  protocol: Protocol.optional(),
  name: z.string().min(1).max(100).optional().meta({ description: 'Part of the name, in any case.' }),
});

export const AgentDetail = Agent.extend({
  /** Settings of its protocol, and what else was registered; never its credential. */
  metadata: z.record(z.string(), z.unknown()),
  reported_sessions: z.number().int().nullable(),
  cooling_until: time.nullable(),
  probe_failures: z.number().int(),
  circuit_opened_at: time.nullable(),
  /** Calls at once that it is trusted with after it was out; null: all that it takes. */
  trickle: z.number().int().nullable(),
  /** What the newest of the probes found that go on by themselves; `unknown`: it has no way to say how it is. */
  last_check: z
    .object({ at: time, outcome: z.enum(['up', 'down', 'unknown']), error_code: z.string().nullable() })
    .nullable(),
  /** Until when the key, and the signing secret, hold that were replaced last. */
  old_key_until: time.nullable(),
  old_secret_until: time.nullable(),
  updated_at: time,
  deactivated_at: time.nullable(),
  deactivated_by: z.string().nullable().meta({
    description:
      'The operator or key that took it out; then only an operator can bring it back. Null: nobody has, it left by itself, or the configuration no longer names it.',
  }),
  last_probe: AgentProbe.nullable(),
});

const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !/\p{Cc}/u.test(value), 'must not contain control characters');

/** What an agent can, and what a number may require. */
export const Capabilities = z.array(text(64)).max(50);

const fields = {
  agent_name: text(100),
  agent_type: text(50),
  endpoint_url: z.string().min(1).max(2_000).meta({ description: 'https, or http inside DARKSPERE_EGRESS_ALLOW.' }),
  capabilities: Capabilities,
  protocol: Protocol.meta({ description: 'Absent: the one of `metadata.preset`, else `envelope`.' }),
  max_concurrent_sessions: z.int().min(1).max(100_000),
  version: text(50),
  metadata: z.record(z.string(), z.unknown()).meta({
    description:
      'Settings of the protocol, and anything of yours; 8 KiB as JSON. `metadata.api_key`, the credential for the endpoint, is sealed and never shown. `metadata.session_events: true` (envelope): the agent is told when a session becomes its own (`session.start`) and when it is over (`session.end`).',
  }),
};

export const NewAgentBody = z.strictObject({
  ...fields,
  protocol: fields.protocol.optional(),
  max_concurrent_sessions: fields.max_concurrent_sessions.default(100),
  version: fields.version.optional(),
  metadata: fields.metadata.default({}),
});
export const RegistrationBody = NewAgentBody.extend({
  registration_secret: z.string().optional().meta({
    description: 'The value of REGISTRATION_SECRET; not with an API key with the scope write.',
  }),
});
export const AgentChangeBody = z.strictObject({ ...fields, version: fields.version.nullable() }).partial();

export const RegistrationQuery = z.strictObject({
  probe: z.enum(['full', 'handshake', 'skip']).default('full').meta({
    description:
      '`full`: the agent is probed up to an answer. `handshake`: it is not asked a question. `skip`: not at all, for agents that register before they listen.',
  }),
});

const done = { success: z.literal(true), agent_id: id, message: z.string() };
export const Registered = z.object({
  ...done,
  /** Shown only once. */
  api_key: z.string(),
  /** Shown only once. */
  signing_secret: z.string(),
  /** Null: it was not looked at. */
  probe: AgentProbe.nullable(),
});
export const Changed = z.object(done);
export const ChangedAgent = Changed.extend({ probe: AgentProbe.nullable() });

export const RegisteredAgent = z.object({
  agent_id: id,
  agent_name: z.string(),
  agent_type: z.string(),
  endpoint_url: z.string(),
  protocol: Protocol,
  capabilities: z.array(z.string()),
  max_concurrent_sessions: z.number().int(),
  version: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()),
  status: Status,
  health_score: z.number().int(),
  active_sessions: z.number().int(),
  draining: z.boolean(),
  drain_reason: z.string().nullable(),
  disabled_reason: z.string().nullable(),
  last_heartbeat_at: time.nullable(),
  registered_at: time,
  updated_at: time,
  last_probe: AgentProbe.nullable(),
});

export const HeartbeatBody = z.strictObject({
  load: z.number().min(0).max(1),
  active_sessions: z.int().min(0).max(1_000_000).optional(),
  draining: z
    .boolean()
    .optional()
    .meta({ description: 'true: no new sessions while others can take them; false: as before.' }),
});
export const HeartbeatAnswer = z.object({
  success: z.literal(true),
  agent_id: id,
  status: Status,
  health_score: z.number().int(),
  /** An operator, or the agent itself, wants no new sessions for it. */
  draining: z.boolean(),
  drain_reason: z.string().nullable(),
  /** Why an operator has disabled it; null: none has. */
  disabled_reason: z.string().nullable(),
  /** The key of this call was replaced and opens nothing after this time; null: it is the newest. */
  key_valid_until: time.nullable(),
  /** Calls are signed with the secret before, too, until then; null: with one. */
  old_secret_valid_until: time.nullable(),
});

const keep = z.int().min(0).max(604_800).default(86_400).meta({
  description: 'How long the one before holds; 0 ends it at once, which is for one that leaked.',
});
export const RotateBody = z.strictObject({ keep_old_for_seconds: keep }).prefault({});
const rotated = { agent_id: id, old_valid_until: time.nullable() };
export const RotatedKey = z.object({ api_key: z.string(), ...rotated });
export const RotatedSecret = z.object({ signing_secret: z.string(), ...rotated });
export const RetireBody = z.strictObject({ what: z.enum(['key', 'secret', 'both']).default('both') }).prefault({});

export const AgentStats = z.object({
  total: z.number().int(),
  by_status: z.record(z.string(), z.number().int()),
  /** Active, with a score of at least 70, and not pausing after a failure. */
  healthy: z.number().int(),
  draining: z.number().int(),
  /** With a heartbeat within the last minute. */
  alive: z.number().int(),
  active_sessions: z.number().int(),
  max_concurrent_sessions: z.number().int(),
  average_health_score: z.number().nullable(),
  by_type: z.array(z.object({ type: z.string(), total: z.number().int(), healthy: z.number().int() })),
  by_protocol: z.record(z.string(), z.number().int()),
});

const reason = text(300);
export const DrainBody = z.strictObject({ reason: reason.optional() }).prefault({});
export const DisableBody = z.strictObject({ reason });
export const ProbeBody = z.strictObject({ depth: z.enum(['full', 'handshake']).default('full') }).prefault({});

export type Agent = z.infer<typeof Agent>;
export type AgentList = z.infer<typeof AgentList>;
export type AgentDetail = z.infer<typeof AgentDetail>;
export type AgentStats = z.infer<typeof AgentStats>;
export type Registered = z.infer<typeof Registered>;
export type AgentProbe = z.infer<typeof AgentProbe>;
