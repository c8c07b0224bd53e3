// The settings of an agent as it registers: what its protocol understands, checked before anybody is asked by them.
import { z } from 'zod';
import { DarkspereError } from '../../errors.ts';
import type { Protocol } from '../agent.ts';
import { a2aSettings } from './a2a/settings.ts';
import { mcpSettings } from './mcp/settings.ts';
import { openaiSettings } from './openai/api.ts';
import { PRESETS } from './presets.ts';
import { webhookSettings } from './webhook.ts';

const SETTINGS: Readonly<Record<Protocol, z.ZodType>> = {
  envelope: z.object({ require_signed_replies: z.boolean().optional(), session_events: z.boolean().optional() }),
  openai: openaiSettings,
  mcp: mcpSettings,
  a2a: a2aSettings,
  webhook: webhookSettings,
};

export type Settings = { readonly protocol: Protocol; readonly metadata: Readonly<Record<string, unknown>> };

/**
 * The protocol and settings of a registration, a preset filled in. `protocol` is null when none was named. Throws
 * `invalid_request` naming the setting, as `metadata.tool`.
 */
export function settleSettings(protocol: Protocol | null, metadata: Readonly<Record<string, unknown>>): Settings {
  const settled = withPreset(protocol, metadata);
  const parsed = SETTINGS[settled.protocol].safeParse(settled.metadata);
  const issue = parsed.error?.issues[0];
  if (issue !== undefined) {
    const param = ['metadata', ...issue.path].join('.');
    throw refusal(param, `${param} is not what protocol ${settled.protocol} takes: ${issue.message}.`);
  }
  return settled;
}

function withPreset(protocol: Protocol | null, metadata: Readonly<Record<string, unknown>>): Settings {
  const { preset: name } = metadata;
  if (name === undefined) return { protocol: protocol ?? 'envelope', metadata };
  const preset = typeof name === 'string' && Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  if (preset === undefined)
    throw refusal('metadata.preset', `metadata.preset must be one of ${Object.keys(PRESETS).join(', ')}.`);
  if (protocol !== null && protocol !== preset.protocol)
    throw refusal('protocol', `protocol must be ${preset.protocol}, or absent, with the preset ${String(name)}.`);
  const missing = preset.needs.find((need) => typeof metadata[need] !== 'string' || metadata[need] === '');
  if (missing !== undefined)
    throw refusal(`metadata.${missing}`, `metadata.${missing} is missing; the preset ${String(name)} needs it.`);
  return { protocol: preset.protocol, metadata: { ...preset.settings(metadata), ...metadata } };
}

function refusal(param: string, message: string): DarkspereError {
  return new DarkspereError('invalid_request', message, { param });
}
