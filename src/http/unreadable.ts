// What came is no request that Node could read: no handler of ours ever sees it, and it is told so as everything else is.
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { DarkspereError, errorBody } from '../errors.ts';
import { newId } from '../ids.ts';

/** Codes of Node's `clientError` event (https://nodejs.org/api/http.html#event-clienterror); whatever else is 400. */
const WHY: Readonly<Record<string, readonly [status: number, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request was not here within 10 s. Send it faster.'],
  HPE_HEADER_OVERFLOW: [431, 'The address and the headers together have more than 16 KB. Send less.'],
};

/** Answers on the socket itself, and closes it. */
export function refuseUnreadable({ code }: { readonly code?: string }, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, message] = WHY[code ?? ''] ?? [400, 'What came is no HTTP/1.1 request.'];
  const body = JSON.stringify(errorBody(new DarkspereError('request_refused', message, { status }), newId()));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
