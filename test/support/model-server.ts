// An OpenAI-compatible server with a model that has no thoughts of its own.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Asked = {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: { readonly model: string; readonly messages: readonly { role: string; content: string }[] };
};

/** `answer`: a text, or a status. `asked` holds every question, oldest first. */
export async function startModelServer(answer: (asked: Asked) => string | number) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const one = { path: request.url ?? '', authorization: request.headers.authorization, body: JSON.parse(body) };
    asked.push(one);
    const said = answer(one);
    const choices = [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: said } }];
    response.writeHead(typeof said === 'number' ? said : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(typeof said === 'number' ? { error: { message: 'no' } } : { choices }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    asked,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
