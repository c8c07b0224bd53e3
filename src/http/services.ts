// The port table: which service listens where, and one way to open any of them.
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config.ts';
import { DarkspereError } from '../errors.ts';

const SERVICES = {
  gateway: { variable: 'PORT' },
  mcpAdapter: { variable: 'MCP_ADAPTER_PORT' },
  agentRegistration: { variable: 'AGENT_REGISTRATION_PORT' },
  worker: { variable: 'WORKER_PORT' },
} as const;

export type ServiceName = keyof typeof SERVICES;

/** Listens on the service's port; gives its URL. Throws port_in_use naming the variable to change. */
export async function listen(
  app: FastifyInstance,
  name: ServiceName,
  config: Pick<Config, 'ports' | 'host'>,
): Promise<string> {
  const port = config.ports[name];
  try {
    await app.listen({ port, host: config.host });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const { variable } = SERVICES[name];
    throw new DarkspereError(
      'port_in_use',
      `Port ${port} is taken, perhaps by another copy of Darkspere. Stop it, or set ${variable} to a free port.`,
      { param: variable, cause: error },
    );
  }
  const { port: actual } = app.server.address() as AddressInfo;
  return `http://${config.host === '0.0.0.0' || config.host === '127.0.0.1' ? 'localhost' : config.host}:${actual}`;
}
