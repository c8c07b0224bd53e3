// The fault `agentsDown`: whoever calls agents through this finds nobody there, whatever their protocol.
import type { Dispatcher } from 'undici';
import type { Faults } from './faults.ts';

/** `http` as it is, but for as long as the fault says every request fails like a connection that was refused. */
export function withAgentsDown(http: Dispatcher, faults: Pick<Faults, 'take'>): Dispatcher {
  return http.compose((dispatch) => (options, handler) => {
    if (faults.take('agentsDown') === null) return dispatch(options, handler);
    const refused = Object.assign(new Error(`connect ECONNREFUSED ${options.origin}`), {
      code: 'ECONNREFUSED',
    });
    // Later, as a socket would say it.
    setImmediate(() => handler.onResponseError?.(NO_CONNECTION, refused));
    return true;
  });
}

/** There is nothing to pause or to end. */
const NO_CONNECTION: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  abort() {},
  pause() {},
  resume() {},
};
