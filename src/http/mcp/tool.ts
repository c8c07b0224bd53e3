// What a tool of the MCP server is, and what tools share.
import { z } from 'zod';
import type { TextPolicy } from '../../bridge/not-before.ts';
import type { Sql } from '../../database/pools.ts';
import type { Reader } from '../../inbox/reader.ts';
import type { Principal, Scope } from '../../security/principal.ts';
import { storableText } from '../contract/basics.ts';

export type ToolDeps = {
  readonly sql: Sql;
  readonly reader: Omit<Reader, 'signal'>;
  readonly policy: TextPolicy;
};

/** One call of a tool. */
export type ToolCall = ToolDeps & { readonly principal: Principal; readonly signal: AbortSignal };

export type Tool = {
  readonly name: string;
  /** What an API key must have; an agent's own key has all that agents have. */
  readonly scope: Scope;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  readonly output: z.ZodObject;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint?: boolean;
    readonly idempotentHint?: boolean;
    readonly openWorldHint: boolean;
  };
  run(args: unknown, call: ToolCall): Promise<Record<string, unknown>>;
};

/** A tool whose function takes and gives what its schemas say. */
export function tool<I extends z.ZodObject, O extends z.ZodObject>(
  declared: Omit<Tool, 'input' | 'output' | 'run'> & {
    readonly input: I;
    readonly output: O;
    run(args: z.output<I>, call: ToolCall): Promise<z.input<O>>;
  },
): Tool {
  return declared as unknown as Tool;
}

export const READS = { readOnlyHint: true, openWorldHint: false } as const;
/** A text cannot be taken back, and it reaches a person. */
export const TEXTS = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: false,
  openWorldHint: true,
} as const;

export const limit = (max: number, usual: number) => z.int().min(1).max(max).default(usual);
export const cursor = z.string().max(200).optional().describe('next_cursor of the page before.');
export const text = storableText(1_600)
  .min(1)
  .describe('Plain text, as short as it can be: every 160 characters are charged.');
export const once = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 visible ASCII characters')
  .optional()
  .describe('Yours to choose. A call that is repeated with it sends nothing more.');

export const NO_CONVERSATION = 'There is no conversation with this id.';
export const NO_MESSAGE = 'There is no message with this id.';

export const readerOf = ({ reader, signal }: ToolCall): Reader => ({ ...reader, signal });

/** What a text that was taken is told as. */
export function queued(sent: { readonly messageId: string; readonly conversationId: string; readonly isNew: boolean }) {
  return {
    message_id: sent.messageId,
    conversation_id: sent.conversationId,
    status: 'queued' as const,
    repeated: !sent.isNew,
  };
}
