// Programs at /mcp of a world, with the official client, in both eras.
import {
  type CallToolResult,
  Client,
  StreamableHTTPClientTransport,
  type VersionNegotiationMode,
} from '@modelcontextprotocol/client';
import { hashKey } from '../../src/security/keys.ts';
import type { Scope } from '../../src/security/principal.ts';
import { type Json, keyHolder } from './operator.ts';
import type { World } from './world.ts';

export const ERAS: Readonly<Record<string, VersionNegotiationMode>> = {
  '2026-07-28': { pin: '2026-07-28' },
  '2025-11-25': 'legacy',
};

/** What a tool said: its structured result, or the error of ours that it was refused with. */
export type Told = {
  readonly data: Json;
  readonly error: Json | null;
  readonly text: string;
  readonly result: CallToolResult;
};

/** Connects with a key. */
export async function connectMcp(url: string, key: string, mode: VersionNegotiationMode = ERAS['2026-07-28']!) {
  const client = new Client({ name: 'test-program', version: '1' }, { versionNegotiation: { mode } });
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${key}` } },
  });
  await client.connect(transport);
  return {
    client,
    key,
    async tool(name: string, args: Record<string, unknown> = {}): Promise<Told> {
      const result = (await client.callTool({ name, arguments: args })) as CallToolResult;
      const [block] = result.content;
      const text = block?.type === 'text' ? block.text : '';
      const isOurs = result.isError && text.startsWith('{');
      return {
        data: result.structuredContent,
        error: result.isError ? (isOurs ? JSON.parse(text).error : { message: text }) : null,
        text,
        result,
      };
    },
    close: () => client.close(),
  };
}

/** A program with a key of its own. */
export async function mcpProgram(world: World, scopes: readonly Scope[], era = '2026-07-28') {
  const { key } = await keyHolder(world, scopes);
  const [row] = await world.sql<{ id: string; name: string }[]>`
    select id, name from api_keys where key_hash = ${hashKey(key)}`;
  const connected = await connectMcp(world.urls.gateway!, key, ERAS[era]!);
  return { ...connected, id: row!.id, name: row!.name };
}
