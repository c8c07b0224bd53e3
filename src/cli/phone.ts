// Where `darkspere text` finds the simulator.
import { loadConfig } from '../config.ts';
import { messageOf } from '../errors.ts';
import { textCommand } from './text.ts';

export async function phoneCommand(
  message: string | undefined,
  options: { from: string; to?: string; json: boolean; wait: number },
): Promise<number> {
  let simulatorUrl: string;
  try {
    const { config } = loadConfig(process.env, { parts: [] });
    if (config.carrier.kind === 'twilio') {
      process.stderr.write('Twilio is the carrier here, so there is no simulator to text with. Use a phone.\n');
      return 2;
    }
    simulatorUrl = `http://127.0.0.1:${config.ports.simulator}`;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 2;
  }
  return textCommand({
    ...(message === undefined ? {} : { message }),
    from: options.from,
    ...(options.to === undefined ? {} : { to: options.to }),
    json: options.json,
    waitMs: options.wait * 1000,
    simulatorUrl,
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
  });
}
