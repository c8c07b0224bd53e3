// Nobody listens: for as long as it lasts a connection to the REST API is refused, and those that stand are cut.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Faults } from './faults.ts';
import type { Timers } from './timers.ts';

export type Outage = {
  /** Remembers who talks to the REST API: these are cut, while a watcher of /simulator stays. */
  saw(socket: Socket): void;
  /** Begins or ends the outage as the fault `refuseConnections` says now. */
  follow(faults: Faults): void;
};

/** How often an outage looks whether it is over. */
const LOOK_MS = 20;

export function createOutage(server: Server, timers: Timers, address: { port: number; host: string }): Outage {
  const sockets = new Set<Socket>();
  let isOut = false;
  let isLooking = false;

  const lookAgain = (faults: Faults): void => {
    if (isLooking) return;
    isLooking = true;
    timers.after(LOOK_MS, () => {
      isLooking = false;
      follow(faults);
    });
  };

  const follow = (faults: Faults): void => {
    const wanted = faults.pending().refuseConnections > 0;
    if (wanted && !isOut) {
      isOut = true;
      server.close();
      for (const socket of sockets) socket.destroy();
    } else if (!wanted && isOut) {
      isOut = false;
      // Somebody may have taken the port meanwhile: try again until it is free.
      const onTaken = (): void => {
        isOut = true;
        lookAgain(faults);
      };
      server.once('error', onTaken);
      server.listen(address.port, address.host, () => server.off('error', onTaken));
    }
    if (isOut) lookAgain(faults);
  };

  return {
    saw(socket) {
      if (sockets.has(socket)) return;
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    },
    follow,
  };
}
