// An agent is as reachable as its card.
import { down, emptyCall, type Finding, findingOf, type Probing, UP } from '../probing.ts';
import { orAborted } from '../sdk-wire.ts';
import { fetchCard, openA2aWire } from './client.ts';

/** Fetches the agent's card. */
export async function probeA2a(probing: Probing): Promise<Finding> {
  const call = emptyCall(probing);
  const wire = openA2aWire(call, probing.http);
  try {
    const card = await orAborted(fetchCard(call, wire), wire.signal);
    return card === null ? down(wire.failure()?.code ?? 'agent_contract') : UP;
  } catch (error) {
    const failure = wire.failure();
    return failure === null ? findingOf(error) : down(failure.code);
  } finally {
    wire.exchange('');
  }
}
