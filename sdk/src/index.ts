export {
  AgentError,
  type ChatHandler,
  type ChatRequest,
  type ChatResult,
  type HistoryEntry,
  Later,
  later,
  type Media,
  type Protocol,
  type Reply,
} from './chat.ts';
export { type JoinOptions, joinDarkspere, type Membership, type PostOptions } from './membership.ts';
export { type Agent, type AgentOptions, serveAgent } from './serve-agent.ts';
export type { SessionEnd, SessionEndReason, SessionHandlers, SessionStart } from './session-events.ts';
export { sign, type Verdict, verifySignature } from './signature.ts';
