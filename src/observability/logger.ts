// Structured logs. Ids, lengths and codes only: message text, phone numbers and secrets never get in here.
import { destination, type Logger, pino } from 'pino';
import type { Config } from '../config.ts';

export type { Logger };

/** The root logger: JSON lines for machines, one readable line each for a person at a terminal. */
export function createLogger(config: Pick<Config, 'logLevel' | 'logFormat'>): Logger {
  const options = {
    level: config.logLevel,
    base: null,
    redact: {
      paths: ['*.authorization', '*.cookie', '*.token', '*.password', '*.secret', '*.api_key', '*.body', '*.phone'],
      censor: '[hidden]',
    },
  };
  if (config.logFormat === 'json') return pino(options, standardOutput());
  const pretty = pino.transport({
    target: 'pino-pretty',
    options: { translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname', singleLine: true },
  });
  // It ends with the first line that it cannot write; without a listener this process would, too.
  pretty.on('error', () => {});
  return pino(options, pretty);
}

/** Lines that cannot be written wait for better times, so many bytes of them; the others are dropped. */
const KEPT_BYTES = 1024 * 1024;

/** Standard output may fail: its disk is full, its reader or terminal gone. That costs lines, and nothing else. */
function standardOutput() {
  const output = destination({ dest: 1, sync: false, maxLength: KEPT_BYTES });
  const flushSync = output.flushSync.bind(output);
  let isFailing = false;
  // Without a listener the library lets the error end the process.
  output.on('error', () => {
    isFailing = true;
  });
  output.on('write', () => {
    isFailing = false;
  });
  // The library calls it at the end of the process, and it tries for ever (sonic-boom 4).
  output.flushSync = () => {
    if (!isFailing) flushSync();
  };
  return output;
}
