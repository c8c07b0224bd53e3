// Structured logs. Ids, lengths and codes only: message text, phone numbers and secrets never get in here.
import { type Logger, pino } from 'pino';
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
  if (config.logFormat === 'json') return pino(options);
  return pino({
    ...options,
    transport: {
      target: 'pino-pretty',
      options: { translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname', singleLine: true },
    },
  });
}
