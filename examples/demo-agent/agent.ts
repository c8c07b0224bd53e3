// Runs the demo agent: settings in, registered, ready. Run directly it takes them from the environment, or from one message
// of its parent with the same names, so that the registration secret need not stand in an environment.
import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type Credentials,
  deactivate,
  loadCredentials,
  register,
  saveCredentials,
  stillKnown,
} from './registration.ts';
import { type DemoAgent, startDemoAgent } from './server.ts';

type Settings = {
  readonly port: number;
  /** File of the credentials; reminders are kept beside it. */
  readonly stateFile: string;
  readonly registrationUrl: string;
  readonly registrationSecret: string;
  readonly darkspereUrl: string;
};

// A key that was refused although it is new will not get better by asking again at once.
const REGISTER_AGAIN_AFTER_MS = 60_000;

/** Starts the agent and resolves once it is registered; throws when the registration service refuses it. */
async function runDemoAgent(settings: Settings, signal: AbortSignal): Promise<{ agent: DemoAgent; agentId: string }> {
  const { registrationUrl, registrationSecret, stateFile } = settings;
  const agent = await startDemoAgent({
    port: settings.port,
    signingSecrets: [],
    apiKey: null,
    darkspereUrl: settings.darkspereUrl,
    stateDir: dirname(stateFile),
    onRefused: () => void registerAgain(),
  });
  signal.addEventListener('abort', () => void agent.close(), { once: true });

  const use = ({ api_key, signing_secret }: Credentials) =>
    agent.useCredentials({ apiKey: api_key, signingSecrets: [signing_secret] });
  const registerNow = async () => {
    const fresh = await register({ registrationUrl, registrationSecret, endpointUrl: agent.url }, signal);
    saveCredentials(stateFile, fresh);
    use(fresh);
    return fresh;
  };
  let lastMs = Number.NEGATIVE_INFINITY;
  const registerAgain = async () => {
    if (performance.now() - lastMs < REGISTER_AGAIN_AFTER_MS) return;
    lastMs = performance.now();
    await registerNow().catch(() => {});
  };

  try {
    const saved = loadCredentials(stateFile);
    if (saved !== null && saved.endpoint_url === agent.url) {
      use(saved);
      void stillKnown(registrationUrl, saved, signal).then(
        (known) => (known ? undefined : registerAgain()),
        () => {},
      );
      return { agent, agentId: saved.agent_id };
    }
    const { agent_id } = await registerNow();
    if (saved !== null) await deactivate(registrationUrl, saved);
    return { agent, agentId: agent_id };
  } catch (error) {
    await agent.close();
    throw error;
  }
}

/** The settings in a set of variables; throws with the name of the first one that is missing or wrong. */
function settingsFrom(variables: Readonly<Record<string, string | undefined>>): Settings {
  const required = (name: string) => {
    const text = variables[name];
    if (text === undefined || text === '') throw new Error(`${name} is not set`);
    return text;
  };
  const port = Number(variables.DEMO_AGENT_PORT ?? '8007');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error('DEMO_AGENT_PORT is not a port');
  return {
    port,
    stateFile: required('DEMO_AGENT_STATE'),
    registrationUrl: (variables.REGISTRATION_URL ?? 'http://127.0.0.1:8002').replace(/\/+$/, ''),
    registrationSecret: required('REGISTRATION_SECRET'),
    darkspereUrl: variables.DARKSPERE_URL ?? 'http://127.0.0.1:8000',
  };
}

/** With a parent and no secret in the environment, the settings come as its first message. */
async function variablesOfThisProcess(): Promise<Record<string, string | undefined>> {
  if (process.send === undefined || process.env.REGISTRATION_SECRET !== undefined) return process.env;
  const message = await new Promise<unknown>((resolve) => {
    process.once('message', resolve);
  });
  return { ...process.env, ...(message as Record<string, string>) };
}

async function main(): Promise<void> {
  const stop = new AbortController();
  // A demo agent without its parent would keep its port and answer for nobody.
  for (const event of ['disconnect', 'SIGTERM', 'SIGINT'] as const) {
    process.once(event, () => {
      stop.abort();
      process.exit(0);
    });
  }
  try {
    const { agent, agentId } = await runDemoAgent(settingsFrom(await variablesOfThisProcess()), stop.signal);
    process.stdout.write(`demo agent ${agentId} ready at ${agent.url}\n`);
    process.send?.({ ready: true, url: agent.url, agentId });
  } catch (error) {
    process.stderr.write(`the demo agent cannot run: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) await main();
