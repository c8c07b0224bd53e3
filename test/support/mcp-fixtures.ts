// The server that the official suite asks for: tools, prompts and resources whose names and words it prescribes. Served through
// our own endpoint, it shows that nothing in the way (key, Origin, limits) breaks what the protocol allows.
import { setTimeout as pause } from 'node:timers/promises';
import {
  acceptedContent,
  completable,
  createMcpHandler,
  createRequestStateCodec,
  type InputRequests,
  inputRequired,
  type McpHttpHandler,
  McpServer,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

const text = (said: string) => ({ type: 'text' as const, text: said });
const said = (words: string) => ({ content: [text(words)] });
const image = { type: 'image' as const, data: PNG, mimeType: 'image/png' };
const resource = (uri: string, mimeType: string, words: string) => ({
  type: 'resource' as const,
  resource: { uri, mimeType, text: words },
});

const states = createRequestStateCodec<{ round: number }>({ key: Buffer.alloc(32, 7) });
const nothing = z.object({});

/** A handler of both eras with everything that the suite looks for. */
export function createFixtureHandler(): McpHttpHandler {
  let bell: McpHttpHandler['notify'] | null = null;
  const handler = createMcpHandler(() => {
    const server = new McpServer(
      { name: 'fixtures', version: '1.0.0' },
      {
        capabilities: {
          logging: {},
          completions: {},
          tools: { listChanged: true },
          prompts: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
        },
        requestState: { verify: states.verify },
      },
    );
    addContent(server);
    addNotices(server, () => bell!);
    addQuestionsOfOld(server);
    addInputRequired(server);
    addResources(server);
    addPrompts(server);
    return server;
  });
  bell = handler.notify;
  return handler;
}

function addContent(server: McpServer): void {
  const gives = (name: string, content: readonly object[]) =>
    server.registerTool(name, { description: name, inputSchema: nothing }, async () => ({
      content: [...content] as never,
    }));
  gives('test_simple_text', [text('This is a simple text response for testing.')]);
  gives('test_image_content', [image]);
  gives('test_audio_content', [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }]);
  gives('test_embedded_resource', [
    resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'),
  ]);
  gives('test_multiple_content_types', [
    text('Multiple content types test:'),
    image,
    resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
  ]);
  server.registerTool('test_error_handling', { description: 'Fails.', inputSchema: nothing }, async () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
}

function addNotices(server: McpServer, bell: () => McpHttpHandler['notify']): void {
  const logging = async (_args: unknown, { mcpReq }: ServerContext) => {
    for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await mcpReq.log('info', line);
      await pause(50);
    }
    return said('Logged.');
  };
  server.registerTool('test_tool_with_logging', { description: 'Logs.', inputSchema: nothing }, logging);
  server.registerTool('test_logging_tool', { description: 'Logs.', inputSchema: nothing }, logging);
  server.registerTool(
    'test_tool_with_progress',
    { description: 'Tells how far it is.', inputSchema: nothing },
    async (_args, { mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken;
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined)
          await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
        await pause(50);
      }
      return said('Done.');
    },
  );
  server.registerTool('test_trigger_tool_change', { description: 'Rings.', inputSchema: nothing }, async () => {
    bell().toolsChanged();
    return said('Rung.');
  });
  server.registerTool('test_trigger_prompt_change', { description: 'Rings.', inputSchema: nothing }, async () => {
    bell().promptsChanged();
    return said('Rung.');
  });
}

/** What servers ask of clients in the middle of a call. */
function addQuestionsOfOld(server: McpServer): void {
  const asks = (name: string, requests: InputRequests) =>
    server.registerTool(name, { description: name, inputSchema: nothing }, async (_args, { mcpReq }) =>
      mcpReq.inputResponses === undefined
        ? inputRequired({ inputRequests: requests })
        : said(`Completed: ${JSON.stringify(mcpReq.inputResponses)}`),
    );
  asks('test_streaming_elicitation', { name: name() });
  asks('test_missing_capability', { words: sample('Say something.', 10) });
}

type MultiRound = ServerContext['mcpReq'];

const META = 'io.modelcontextprotocol/clientCapabilities';
const declared = ({ envelope }: MultiRound) =>
  (envelope as Record<string, Record<string, unknown>> | undefined)?.[META] ?? {};

const ask = (message: string, field: string, type: { type: 'string' } | { type: 'boolean' } = { type: 'string' }) =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [field]: type }, required: [field] },
  });
const name = () => ask('What is your name?', 'name');
const sample = (words: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: text(words) }], maxTokens });

function addInputRequired(server: McpServer): void {
  const multiRound = (tool: string, next: (mcpReq: MultiRound) => unknown) =>
    server.registerTool(
      `test_input_required_result_${tool}`,
      { description: tool, inputSchema: nothing },
      async (_args, { mcpReq }) => (await next(mcpReq)) as never,
    );
  const state = (round: number) => states.mint({ round });
  const roundOf = (mcpReq: MultiRound) => mcpReq.requestState<{ round: number }>()?.round ?? 0;
  const has = ({ inputResponses = {} }: MultiRound, ...keys: string[]) => keys.every((key) => key in inputResponses);

  multiRound('elicitation', ({ inputResponses }) => {
    const given = acceptedContent(inputResponses, 'user_name', z.object({ name: z.string() }));
    return given ? said(`Hello, ${given.name}!`) : inputRequired({ inputRequests: { user_name: name() } });
  });
  multiRound('sampling', (mcpReq) =>
    has(mcpReq, 'capital_question')
      ? said(`It said: ${JSON.stringify(mcpReq.inputResponses)}`)
      : inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?', 100) } }),
  );
  multiRound('list_roots', (mcpReq) =>
    has(mcpReq, 'client_roots')
      ? said(`Roots: ${JSON.stringify(mcpReq.inputResponses)}`)
      : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } }),
  );
  const confirm = async (mcpReq: MultiRound) =>
    has(mcpReq, 'confirm') && roundOf(mcpReq) === 1
      ? said('state-ok')
      : inputRequired({
          inputRequests: { confirm: ask('Please confirm', 'ok', { type: 'boolean' }) },
          requestState: await state(1),
        });
  multiRound('request_state', confirm);
  multiRound('tampered_state', confirm);
  multiRound('multiple_inputs', async (mcpReq) =>
    has(mcpReq, 'user_name', 'greeting', 'client_roots')
      ? said('All there.')
      : inputRequired({
          inputRequests: {
            user_name: name(),
            greeting: sample('Generate a greeting', 50),
            client_roots: inputRequired.listRoots(),
          },
          requestState: await state(1),
        }),
  );
  multiRound('multi_round', async (mcpReq) => {
    const round = roundOf(mcpReq);
    if (round === 2 && has(mcpReq, 'step2')) return said('Three rounds.');
    return round >= 1 && has(mcpReq, 'step1')
      ? inputRequired({
          inputRequests: { step2: ask('Step 2: What is your favorite color?', 'color') },
          requestState: await state(2),
        })
      : inputRequired({
          inputRequests: { step1: ask('Step 1: What is your name?', 'name') },
          requestState: await state(1),
        });
  });
  multiRound('capabilities', (mcpReq) => {
    const { sampling, elicitation } = declared(mcpReq);
    const inputRequests: InputRequests = {
      ...(sampling ? { greeting: sample('Generate a greeting', 50) } : {}),
      ...(elicitation ? { user_name: name() } : {}),
    };
    return Object.keys(inputRequests).length === 0 ? said('Nobody to ask.') : inputRequired({ inputRequests });
  });
}

function addResources(server: McpServer): void {
  server.registerResource(
    'static-text',
    'test://static-text',
    { description: 'Text.', mimeType: 'text/plain' },
    async ({ href }) => ({
      contents: [{ uri: href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
    }),
  );
  server.registerResource(
    'static-binary',
    'test://static-binary',
    { description: 'A picture.', mimeType: 'image/png' },
    async ({ href }) => ({ contents: [{ uri: href, mimeType: 'image/png', blob: PNG }] }),
  );
  server.registerResource(
    'watched-resource',
    'test://watched-resource',
    { description: 'Watched.', mimeType: 'text/plain' },
    async ({ href }) => ({ contents: [{ uri: href, mimeType: 'text/plain', text: 'Watched.' }] }),
  );
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'By id.', mimeType: 'application/json' },
    async ({ href }, { id }) => ({
      contents: [
        {
          uri: href,
          mimeType: 'application/json',
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
        },
      ],
    }),
  );
  // Without sessions there is nobody to remember; that it is accepted is all that the older revisions ask.
  server.server.setRequestHandler('resources/subscribe', async () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', async () => ({}));
}

function addPrompts(server: McpServer): void {
  const from = (...contents: readonly object[]) => ({
    messages: contents.map((content) => ({ role: 'user' as const, content: content as never })),
  });
  server.registerPrompt('test_simple_prompt', { description: 'Simple.' }, async () =>
    from(text('This is a simple prompt for testing.')),
  );
  const cities = ['paris', 'park', 'party'];
  const argument = completable(z.string(), (value) => cities.filter((city) => city.startsWith(value)));
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'With arguments.', argsSchema: z.object({ arg1: argument, arg2: z.string() }) },
    async ({ arg1, arg2 }) => from(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'With a resource.', argsSchema: z.object({ resourceUri: z.string() }) },
    async ({ resourceUri }) =>
      from(
        resource(resourceUri, 'text/plain', 'Embedded resource content for testing.'),
        text('Please process the embedded resource above.'),
      ),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'With a picture.' }, async () =>
    from(image, text('Please analyze the image above.')),
  );
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks.' }, async ({ mcpReq }) => {
    const given = acceptedContent(mcpReq.inputResponses, 'user_context', z.object({ context: z.string() }));
    return given
      ? from(text(`In the context of ${given.context}.`))
      : inputRequired({ inputRequests: { user_context: ask('What context should the prompt use?', 'context') } });
  });
}
