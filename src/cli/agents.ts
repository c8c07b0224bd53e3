// `darkspere agents`: who answers, how each of them does, and what an operator does about it.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type AgentInFull, type ListedAgent, listAgents, readAgent } from '../agents/agent-list.ts';
import { retireOld, rotateAgentKey, rotateAgentSecret } from '../agents/credentials.ts';
import { KEEP_OLD_SECONDS } from '../agents/registration.ts';
import { openAgent } from '../agents/registry.ts';
import { createProbe } from '../agents/staged-probe/probe.ts';
import { probeNow } from '../agents/staged-probe/request.ts';
import { DEPTHS, type Depth, type Probe } from '../agents/staged-probe/stages.ts';
import { activateAgent, deactivateAgent, disableAgent, drainAgent, enableAgent } from '../agents/standing.ts';
import type { Config } from '../config.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import { createEgress } from '../security/guarded-fetch.ts';
import { createSecretBox, loadKey } from '../security/secrets.ts';
import { withDatabase } from './database.ts';
import { jsonLine, printable, printJson, printList, printText, table } from './output.ts';
import { wholeNumber } from './values.ts';

/** Who did it, in the rows that say by whom. */
const BY = 'the command line';
const WEEK_SECONDS = 604_800;

/** Adds the commands; `onCode` is told the exit code. */
export function addAgentCommands(program: Command, onCode: (code: number) => void): void {
  const agents = program.command('agents').description('the agents that answer, and how each of them does');

  agents
    .command('list', { isDefault: true })
    .description('all agents, oldest first')
    .option('--json', 'one JSON object per line', false)
    .action(async ({ json }: { json: boolean }) => {
      onCode(await withDatabase(async (sql) => print(await listAgents(sql), json)));
    });

  one('show', 'one agent: its registration, its standing, what the newest probe found').action(
    async (nameOrId: string, { json }: { json: boolean }) => {
      onCode(
        await withDatabase(async (sql) => {
          const agent = await findOne(sql, nameOrId);
          if (json) printJson(agent);
          else printText(described(agent));
        }),
      );
    },
  );

  one('probe', 'look at an agent stage by stage, from this machine; code 1 when a stage fails')
    .addOption(
      new Option('--depth <depth>', 'full ends with a question; handshake asks for nothing that costs or acts')
        .choices(DEPTHS)
        .default('full'),
    )
    .action(async (nameOrId: string, options: { json: boolean; depth: Depth }) => {
      let isWell = true;
      const code = await withDatabase(async (sql, config) => {
        const probe = await probeFromHere(sql, config, await findOne(sql, nameOrId), options.depth);
        isWell = probe.ok;
        if (options.json) printJson(probe);
        else printText(told(probe));
      });
      onCode(code === 0 && !isWell ? 1 : code);
    });

  one('drain', 'give an agent no new sessions while others can take them; those that it has go on')
    .option('--reason <text>', 'why, for whoever looks', reasonText)
    .action(async (nameOrId: string, options: { json: boolean; reason?: string }) => {
      onCode(await act(nameOrId, options.json, (sql, id) => drainAgent(sql, id, BY, options.reason ?? null)));
    });

  one('disable', 'ask an agent nothing any more, until it is enabled')
    .requiredOption('--reason <text>', 'why, for whoever looks', reasonText)
    .action(async (nameOrId: string, options: { json: boolean; reason: string }) => {
      onCode(await act(nameOrId, options.json, (sql, id) => disableAgent(sql, id, BY, options.reason)));
    });

  one('enable', 'end a drain and whatever disabled an agent, failures in a row too').action(
    async (nameOrId: string, { json }: { json: boolean }) => {
      onCode(await act(nameOrId, json, (sql, id) => enableAgent(sql, id)));
    },
  );

  one('deactivate', 'take an agent out, until it is activated again: its key opens nothing, no list shows it').action(
    async (nameOrId: string, { json }: { json: boolean }) => {
      onCode(await act(nameOrId, json, (sql, id) => deactivateAgent(sql, id, BY)));
    },
  );

  one('activate', 'bring a deactivated agent back; name it by its id').action(
    async (nameOrId: string, { json }: { json: boolean }) => {
      onCode(await act(nameOrId, json, (sql, id) => activateAgent(sql, id, 'operator')));
    },
  );

  one('rotate', 'give an agent a new API key or signing secret; it is shown here, and never again')
    .addOption(new Option('--key', 'the key that it comes with').conflicts('secret'))
    .addOption(new Option('--secret', 'the secret that calls to it are signed with').conflicts('key'))
    .option('--keep-seconds <n>', 'how long the one before holds', wholeNumber(0, WEEK_SECONDS), KEEP_OLD_SECONDS)
    .option('--retire', 'no new one: end the time of the one before', false)
    .action(async (nameOrId: string, options: RotateOptions) => {
      onCode(await rotate(nameOrId, options));
    });

  function one(name: string, description: string): Command {
    return agents
      .command(name)
      .description(description)
      .argument('<agent>', 'its id, or its name where only one has it')
      .option('--json', 'one JSON object', false);
  }
}

type RotateOptions = {
  readonly json: boolean;
  readonly key?: true;
  readonly secret?: true;
  readonly keepSeconds: number;
  readonly retire: boolean;
};

function rotate(nameOrId: string, options: RotateOptions): Promise<number> {
  const { keepSeconds, json } = options;
  return withDatabase(async (sql, config) => {
    const what = options.key ? 'key' : options.secret ? 'secret' : null;
    if (what === null) throw new DarkspereError('invalid_request', 'Say what to rotate: --key or --secret.');
    const { id, name } = await findOne(sql, nameOrId);
    if (options.retire) {
      await retireOld(sql, id, what, 'operator');
      if (json) printJson({ agent_id: id, retired: what });
      else printText(`Of ${name} only the newest ${what} holds now.\n`);
      return;
    }
    const { shown, oldUntil } = await renewed(sql, config, id, what, keepSeconds);
    const old_valid_until = oldUntil?.toISOString() ?? null;
    if (json)
      return printJson({ agent_id: id, [what === 'key' ? 'api_key' : 'signing_secret']: shown, old_valid_until });
    process.stdout.write(`${shown}\n`);
    const before = oldUntil === null ? 'holds no more' : `holds until ${minute(oldUntil)} UTC`;
    process.stderr.write(
      `This is the new ${what} of ${printable(name)}; it is not shown again. The one before ${before}.\n`,
    );
  });
}

async function renewed(sql: Sql, config: Config, id: string, what: 'key' | 'secret', keepSeconds: number) {
  const rotation = { keepSeconds, presented: null };
  if (what === 'key') {
    const { apiKey, oldUntil } = await rotateAgentKey(sql, id, rotation);
    return { shown: apiKey, oldUntil };
  }
  const secretBox = await boxOf(config);
  // Says so when this key is not the one of the others, before it seals anything.
  await openAgent(sql, secretBox, id);
  const { signingSecret, oldUntil } = await rotateAgentSecret({ sql, secretBox }, id, rotation);
  return { shown: signingSecret, oldUntil };
}

/** Does something with an agent and shows how it stands then. */
function act(nameOrId: string, json: boolean, what: (sql: Sql, id: string) => Promise<void>): Promise<number> {
  return withDatabase(async (sql) => {
    const { id } = await findOne(sql, nameOrId);
    await what(sql, id);
    print([await readAgent(sql, id)], json);
  });
}

async function probeFromHere(sql: Sql, config: Config, agent: AgentInFull, depth: Depth): Promise<Probe> {
  const { egressAllow } = config;
  const http = createEgress({ allow: egressAllow, connectMs: config.agentDeadlines.connectMs });
  try {
    const deps = { sql, secretBox: await boxOf(config), probe: createProbe({ http, egressAllow }) };
    const probe = await probeNow(deps, { agent: agent.id, depth });
    if (probe === null) throw nobody(agent.id);
    return probe;
  } finally {
    await http.destroy();
  }
}

/** A key made here would open nothing, and what it seals nobody else could open. */
async function boxOf({ secretKey, dataDir }: Config) {
  const key = secretKey ?? (await loadKey(dataDir));
  if (key !== null) return createSecretBox(key);
  throw new DarkspereError(
    'config_invalid',
    `There is no secret.key in ${dataDir}. Set DARKSPERE_SECRET_KEY, or DARKSPERE_DATA_DIR, to those of the running Darkspere.`,
  );
}

async function findOne(sql: Sql, nameOrId: string): Promise<AgentInFull> {
  if (isUuid(nameOrId)) return readAgent(sql, nameOrId.toLowerCase());
  const named = (await listAgents(sql)).filter(({ name }) => name === nameOrId);
  if (named.length === 1) return readAgent(sql, named[0]!.id);
  if (named.length === 0) throw nobody(nameOrId);
  const ids = named.map(({ id, type }) => `${id} (${type})`).join(', ');
  throw new DarkspereError('invalid_request', `Several agents are called ${nameOrId}. Name one by its id: ${ids}.`);
}

function nobody(nameOrId: string): DarkspereError {
  return new DarkspereError('not_found', `There is no agent ${nameOrId}. List them with: darkspere agents`);
}

function print(agents: readonly ListedAgent[], json: boolean): void {
  printList(agents, json, {
    names: [
      'name',
      'type',
      'protocol',
      'status',
      'score',
      'calls',
      'sessions',
      'answers in',
      'last heartbeat (UTC)',
      'id',
    ],
    row: (agent) => [
      agent.name,
      agent.type,
      agent.protocol,
      standing(agent),
      String(agent.health_score),
      calls(agent),
      String(agent.active_sessions),
      answersIn(agent),
      minute(agent.last_heartbeat_at),
      agent.id,
    ],
    none: 'There are no agents yet. How one joins: docs/guide/agents.md',
  });
}

/** Calls under way, of those that it takes at once. Its sessions are another thing: open conversations, without a limit. */
function calls({ calls_in_progress, max_concurrent_sessions }: ListedAgent): string {
  return `${calls_in_progress} of ${max_concurrent_sessions}`;
}

/** A refusal is quick too: only answers say how fast it is. */
function answersIn({ last_success_at, response_ms }: ListedAgent): string {
  return last_success_at === null ? '–' : `${Math.round(response_ms)} ms`;
}

function standing({ status, draining_since, disabled_reason }: ListedAgent): string {
  if (status !== 'deactivated' && disabled_reason !== null) return `disabled (${disabled_reason})`;
  return draining_since === null ? status : `${status}, draining`;
}

function described(agent: AgentInFull): string {
  const { last_probe: probe } = agent;
  const lines: [string, string][] = [
    ['id', agent.id],
    ['name', agent.name],
    ['type', agent.type],
    ['endpoint', agent.endpoint_url],
    ['protocol', agent.protocol],
    ['capabilities', agent.capabilities.join(', ') || 'none'],
    ['version', agent.version ?? 'not said'],
    ['status', standing(agent)],
    [
      'drained by',
      agent.draining_by === null ? 'nobody' : [agent.draining_by, agent.drain_reason].filter(Boolean).join(': '),
    ],
    [
      'deactivated by',
      agent.deactivated_at === null ? 'nobody' : (agent.deactivated_by ?? 'itself, or the configuration'),
    ],
    ['score', String(agent.health_score)],
    ['failures in a row', String(agent.consecutive_failures)],
    ['calls', calls(agent)],
    ['sessions', String(agent.active_sessions)],
    ['answers in', answersIn(agent)],
    ['last answer (UTC)', minute(agent.last_success_at)],
    ['last failure (UTC)', minute(agent.last_failure_at)],
    ['last heartbeat (UTC)', minute(agent.last_heartbeat_at)],
    ['load', agent.load === null ? 'not said' : String(agent.load)],
    ['old key until (UTC)', minute(agent.old_key_until, 'none')],
    ['old secret until (UTC)', minute(agent.old_secret_until, 'none')],
    ['registered (UTC)', minute(agent.registered_at)],
    ['metadata', jsonLine(agent.metadata)],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  const text = lines.map(([name, value]) => `${name.padEnd(width)}  ${value.replaceAll('\n', ' ')}\n`).join('');
  return probe === null ? `${text}\nIt was never probed.\n` : `${text}\nProbed ${probe.at}:\n${told(probe)}`;
}

/** A probe for people: a line for each stage, and what to correct. */
function told({ stages, ok, failed_stage, hint }: Probe): string {
  const rows = stages.map(({ stage, outcome, duration_ms, detail }) => [stage, outcome, `${duration_ms} ms`, detail]);
  const end = ok ? 'No stage failed.' : `It fails at the stage ${failed_stage}. ${hint ?? ''}`;
  return `${table(['stage', 'outcome', 'took', 'what was found'], rows)}${end}\n`;
}

function minute(date: Date | null, instead = 'never'): string {
  return date?.toISOString().slice(0, 16).replace('T', ' ') ?? instead;
}

function reasonText(value: string): string {
  if (value.trim() !== '' && value.length <= 300 && !/\p{Cc}/u.test(value)) return value;
  throw new InvalidArgumentError('A text of 1 to 300 characters, on one line.');
}
