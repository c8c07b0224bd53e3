// Requests in the words of an agent that is not ours: a JSON template with the names below between double braces.
import { z } from 'zod';
import type { AgentCall } from '../agent.ts';

/** The names a template may use, and what each stands for. */
const TEMPLATE_NAMES = [
  'text',
  'conversationId',
  'from',
  'messageId',
  'history',
  'messages',
  'transcript',
  'media',
  'maxCharacters',
] as const;
type Name = (typeof TEMPLATE_NAMES)[number];

const PLACEHOLDER = /\{\{\s*([A-Za-z]+)\s*\}\}/g;
const WHOLE = /^\{\{\s*([A-Za-z]+)\s*\}\}$/;

/** A template as it may be registered. */
export const templateSetting = z.record(z.string(), z.unknown()).superRefine((template, context) => {
  const used = new Set([...JSON.stringify(template).matchAll(PLACEHOLDER)].map((match) => match[1]!));
  const unknown = [...used].filter((name) => !isName(name));
  if (unknown.length > 0)
    context.addIssue(`uses {{${unknown.join('}}, {{')}}}, but the known names are ${TEMPLATE_NAMES.join(', ')}`);
});

/** The template with its names filled in; one that stands alone keeps its type, so `{{history}}` is a list. */
export function fill(template: unknown, call: AgentCall, conversation: string): unknown {
  if (typeof template === 'string') return fillText(template, call, conversation);
  if (Array.isArray(template)) return template.map((item) => fill(item, call, conversation));
  if (typeof template !== 'object' || template === null) return template;
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fill(value, call, conversation)]));
}

function fillText(template: string, call: AgentCall, conversation: string): unknown {
  const whole = WHOLE.exec(template)?.[1];
  if (whole !== undefined && isName(whole)) return meaningOf(whole, call, conversation);
  return template.replace(PLACEHOLDER, (all, name: string) => {
    if (!isName(name)) return all;
    const value = meaningOf(name, call, conversation);
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
}

function isName(name: string): name is Name {
  return TEMPLATE_NAMES.some((known) => known === name);
}

function meaningOf(name: Name, call: AgentCall, conversation: string): unknown {
  switch (name) {
    case 'text':
      return wordsOf(call);
    case 'conversationId':
      return conversation;
    // Never the phone number: an agent can tell people apart by it and learns nothing else.
    case 'from':
      return call.conversationId;
    case 'messageId':
      return call.messageId;
    case 'history':
      return historyOf(call);
    case 'messages':
      return [...historyOf(call), { role: 'user', content: wordsOf(call) }];
    case 'transcript':
      return transcriptOf(call);
    case 'media':
      return call.media.map((item) => item.url);
    case 'maxCharacters':
      return call.replyBudget.maxCharacters;
  }
}

/** What the person said, with the addresses of what they sent along. */
export function wordsOf(call: AgentCall): string {
  return [call.text, ...call.media.map((item) => item.url)].filter((line) => line !== '').join('\n');
}

export function historyOf(call: AgentCall): { role: 'user' | 'assistant'; content: string }[] {
  return call.history.map((entry) => ({ role: entry.role, content: entry.content }));
}

export function transcriptOf(call: AgentCall): string {
  return call.history.map((entry) => `${entry.role === 'user' ? 'They' : 'You'}: ${entry.content}`).join('\n');
}

/** What is at `path` (`messages.-1.content`; a negative number counts from the end), or undefined. */
export function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .filter((step) => step !== '')
    .reduce<unknown>((inner, step) => {
      if (Array.isArray(inner)) return /^-?\d+$/.test(step) ? inner.at(Number(step)) : undefined;
      return typeof inner === 'object' && inner !== null && Object.hasOwn(inner, step)
        ? (inner as Record<string, unknown>)[step]
        : undefined;
    }, value);
}

/** A text, or the texts of a list of content parts; null when there is none. */
export function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (!Array.isArray(value)) return null;
  const parts = value.map((part) => (typeof part === 'string' ? part : at(part, 'text')));
  const texts = parts.filter((part): part is string => typeof part === 'string');
  return texts.length === 0 ? null : texts.join('');
}

/** Fields under which agents answer, the most telling first. */
const REPLY_FIELDS = ['reply', 'response', 'answer', 'text', 'output', 'message', 'content'];

/** What an agent says in an object whose shape nobody has described; null when no field of it is a text. */
export function replyIn(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return null;
  for (const field of REPLY_FIELDS) {
    const found = at(value, field);
    if (typeof found === 'string' && found.trim() !== '') return found;
  }
  return null;
}

/** A handle that may be kept: short text, or nothing. */
export function handleIn(value: unknown): string | null {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && text !== '' && text.length <= 500 ? text : null;
}
