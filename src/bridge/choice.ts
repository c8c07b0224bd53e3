// A person chooses who answers them: AGENTS lists, USE and a name chooses, and so do the words of a number.

import type { Inbound } from '../channels/channel.ts';
import { toTextMessage } from '../channels/plain-text.ts';
import { retryRollbacks } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import { type AgentChoice, bareWord } from './keywords.ts';
import { chosenText, listText, packNotice } from './reply.ts';

export type ChoiceDeps = { readonly sql: Sql; readonly optOutScope: string | null; readonly pacing: boolean };

type Offered = {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly is_healthy: boolean;
  readonly is_mine: boolean;
};

/** More names than this do not fit into a text; they can be chosen all the same. */
const MOST_NAMES = 12;
const LONGEST_NAME = 40;

/** Handles a text that chooses; false when there is nobody to choose, and it is a text for the agent. Durable when it resolves. */
export async function choose(deps: ChoiceDeps, text: Inbound, choice: AgentChoice): Promise<boolean> {
  const offered = await deps.sql<Offered[]>`
    select * from agents_to_choose(${text.channel}, ${text.to}, ${text.from})`;
  const names = new Map(offered.toReversed().map((agent) => [bareWord(agent.name), agent]));
  if (choice.kind === 'word') return followWord(deps, text, choice.target, offered);
  // Whoever has no choice means something else.
  if (names.size < 2) return false;
  if (choice.kind === 'list') {
    const mine = offered.find((agent) => agent.is_mine);
    await write(deps, text, null, listText(shown(offered), mine === undefined ? null : nameOf(mine)));
    return true;
  }
  return useAgent(deps, text, names.get(bareWord(choice.name)));
}

async function followWord(
  deps: ChoiceDeps,
  text: Inbound,
  target: Extract<AgentChoice, { kind: 'word' }>['target'],
  offered: readonly Offered[],
): Promise<boolean> {
  if ('agent' in target)
    return useAgent(
      deps,
      text,
      offered.find((agent) => agent.name === target.agent),
    );
  if (!offered.some((agent) => agent.type === target.type)) return false;
  await write(deps, text, { agent: null, type: target.type }, chosenText(plain(target.type)));
  return true;
}

async function useAgent(deps: ChoiceDeps, text: Inbound, agent: Offered | undefined): Promise<boolean> {
  if (agent === undefined) return false;
  await write(deps, text, { agent: agent.id, type: agent.type }, chosenText(nameOf(agent)));
  return true;
}

/** Each name once, in the order in which they are offered. */
function shown(offered: readonly Offered[]): string[] {
  const names = [...new Map(offered.map((agent) => [bareWord(agent.name), nameOf(agent)])).values()];
  const rest = names.length - MOST_NAMES;
  return rest > 0 ? [...names.slice(0, MOST_NAMES), `${rest} more`] : names;
}

function nameOf(agent: Offered): string {
  return plain(agent.name);
}

/** Names come from whoever registered the agent. */
function plain(name: string): string {
  return toTextMessage(name).replaceAll('\n', ' ').slice(0, LONGEST_NAME);
}

async function write(
  deps: ChoiceDeps,
  text: Inbound,
  chosen: { readonly agent: string | null; readonly type: string } | null,
  said: string,
): Promise<void> {
  const notice = packNotice(said);
  await retryRollbacks(
    () => deps.sql`
    select apply_choice(${text.channel}, ${text.providerId}, ${text.to}, ${text.from}, ${text.text}, ${chosen?.agent ?? null},
      ${chosen?.type ?? null}, ${deps.optOutScope}, ${notice.body}, ${JSON.stringify(notice.parts)}::text::json, ${deps.pacing})`,
  );
}
