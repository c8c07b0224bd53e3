// The few things both HTTP surfaces of the simulator need.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Larger than any message Twilio accepts, small enough to hold in memory. */
export const BODY_LIMIT = 64 * 1024;

/** Up to here a body that is too large is read to its end, so that the client sees the answer; then we hang up. */
const PATIENCE = 1024 * 1024;

/** The body as UTF-8; null when it is larger than `BODY_LIMIT`. Rejects when the client leaves. */
export function readBody(request: IncomingMessage): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= BODY_LIMIT) chunks.push(chunk);
      if (length > PATIENCE) request.destroy();
    });
    request.on('end', () => resolve(length > BODY_LIMIT ? null : Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
    request.on('close', () => reject(new Error('The client left before its request was complete.')));
  });
}

/** Ends the response with a JSON text. */
export function sendJson(
  response: ServerResponse,
  status: number,
  json: string,
  headers: Record<string, string> = {},
): void {
  const length = Buffer.byteLength(json);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...headers });
  response.end(json);
}
