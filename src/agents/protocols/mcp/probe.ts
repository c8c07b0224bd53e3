// The handshake of a call, without the call: `server/discover`, or `initialize` and a ping where a server is older.
import { down, emptyCall, type Finding, findingOf, type Probing, UP } from '../probing.ts';
import { orAborted } from '../sdk-wire.ts';
import { type Connection, connect, openMcpWire } from './connection.ts';
import { mcpSettings } from './settings.ts';

/** Connects to an MCP server and says whether it can. */
export async function probeMcp(probing: Probing): Promise<Finding> {
  const settings = mcpSettings.safeParse(probing.agent.metadata);
  if (!settings.success) return down('agent_contract');
  const call = emptyCall(probing);
  const wire = openMcpWire(call, probing.http);
  let connection: Connection | null = null;
  try {
    connection = await connect(call, wire, settings.data, null);
    if (connection.era.kind === 'legacy') {
      await orAborted(connection.client.ping({ signal: wire.signal, timeout: wire.leftMs() + 1_000 }), wire.signal);
      wire.stepDone();
    }
    return UP;
  } catch (error) {
    const failure = wire.failure();
    return failure === null ? findingOf(error) : down(failure.code);
  } finally {
    wire.exchange('');
    void connection?.release();
  }
}
