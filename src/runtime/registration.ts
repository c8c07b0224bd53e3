// The registration service: agents come, change and leave by themselves.
import { registrationRoutes } from '../http/registration.ts';
import { listen } from '../http/services.ts';
import { agentDeps, answers, NO_ANSWER, reasons, type Shared, service } from './process.ts';

/** Opens it; gives its URL. */
export async function openRegistration(shared: Shared, registrationSecret: string | null): Promise<string> {
  const { config, pools } = shared;
  const app = service(shared, 'agent-registration', {
    check: async () => reasons(await answers(pools.web), NO_ANSWER),
  });
  await registrationRoutes(app, { ...agentDeps(shared), registrationSecret });
  return listen(app, 'agentRegistration', config);
}
