// The OpenAPI document as a page to read, and as a list for programs that read. Plain HTML: it works without a script, without
// the internet, and under the strictest policy.
import { escapeHtml, inline, prose } from './pages.ts';

type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly default?: unknown;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
};
type Content = Readonly<Record<string, { readonly schema?: Schema }>>;
type Parameter = { readonly name: string; readonly in: string; readonly required?: boolean; readonly schema?: Schema };
type Operation = {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>;
};
export type OpenApi = {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
};

type Listed = Operation & { readonly method: string; readonly path: string };

function operationsOf(api: OpenApi): Listed[] {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })),
  );
}

/** The page of /docs: its body, and the list of what is on it. */
export function apiPage(api: OpenApi): { title: string; aside: string; body: string } {
  const operations = operationsOf(api);
  const groups = api.tags
    .map((tag) => ({ ...tag, operations: operations.filter(({ tags }) => tags.includes(tag.name)) }))
    .filter((group) => group.operations.length > 0);
  const name = headline(api);
  const hasSessions = api.security?.some((each) => 'session' in each) ?? false;
  const aside = groups.map(
    (group) =>
      `<a class="group" href="#${group.name}">${title(group.name)}</a><ul>${group.operations.map(tocEntry).join('')}</ul>`,
  );
  const body = [
    `<h1>${escapeHtml(name)} <span class="muted">${escapeHtml(api.info.version)}</span></h1>`,
    prose(api.info.description),
    ...groups.map(
      (group) =>
        `<h2 id="${group.name}">${title(group.name)}</h2>${prose(group.description)}${group.operations.map((operation) => section(operation, api.components.schemas, hasSessions)).join('')}`,
    ),
    '<h2 id="shapes">Shapes</h2>',
    ...Object.entries(api.components.schemas).map(
      ([name, schema]) => `<h3 id="shape-${name}">${name}</h3>${described(schema)}${fields(schema)}`,
    ),
  ];
  return { title: name, aside: `${aside.join('')}<a class="group" href="#shapes">Shapes</a>`, body: body.join('') };
}

/** `API`, or with the name of the service that it is about. */
function headline({ info }: OpenApi): string {
  const [, service] = info.title.split(': ');
  return service === undefined ? 'API' : `${title(service)} API`;
}

function title(name: string): string {
  return name[0]!.toUpperCase() + name.slice(1);
}

function tocEntry({ method, path, operationId, summary }: Listed): string {
  return `<li><a href="#${operationId}" title="${escapeHtml(summary)}">${heading(method, path)}</a></li>`;
}

function heading(method: string, path: string): string {
  return `<span class="verb ${method.toLowerCase()}">${method}</span><span class="path">${escapeHtml(path)}</span>`;
}

type Shapes = OpenApi['components']['schemas'];

function section(operation: Listed, shapes: Shapes, hasSessions: boolean): string {
  const { method, path, operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const body = requestBody?.content['application/json']?.schema;
  const answers = Object.entries(responses);
  return [
    `<h3 id="${operationId}">${heading(method, path)}</h3><p><strong>${inline(summary)}</strong></p>`,
    description === undefined ? '' : prose(description),
    access(operation, hasSessions),
    parameters.length === 0
      ? ''
      : `<h4>Parameters</h4><ul class="fields">${parameters.map((each) => entry(each.name, each.schema ?? {}, each.required === true, each.in === 'query' ? 'in the query' : 'in the path')).join('')}</ul>`,
    body === undefined ? '' : `<h4>Body</h4>${shape(body, shapes)}`,
    ...answers.filter(([status]) => Number(status) < 400).map(([status, response]) => answer(status, response, shapes)),
    errors(answers.filter(([status]) => Number(status) >= 400)),
    `<pre><code>${escapeHtml(curl(operation, body, shapes))}</code></pre>`,
  ].join('');
}

/** What opens it; without a word of its own, what opens everything of this service. */
function access({ security }: Listed, hasSessions: boolean): string {
  if (security?.length === 0) return '<p class="muted">No credential.</p>';
  const has = (name: string) => security?.some((each) => name in each) ?? (name !== 'session' || hasSessions);
  const ways = [
    has('apiKey') && 'an API key',
    has('session') && 'a session',
    security !== undefined && has('agentKey') && 'the key of an agent',
  ].filter((way) => way !== false);
  const words = ways.length > 2 ? `${ways.slice(0, -1).join(', ')}, or ${ways.at(-1)}` : ways.join(' or ');
  return `<p class="muted">Opened by ${words}.</p>`;
}

type Answer = Operation['responses'][string];

function answer(status: string, { description = '', content }: Answer, shapes: Shapes): string {
  const [type, given] = Object.entries(content ?? {})[0] ?? [];
  const text = type === undefined || type === 'application/json' ? '' : ` <code>${escapeHtml(type)}</code>`;
  const what = given?.schema === undefined || text !== '' ? prose(description) : shape(given.schema, shapes);
  return `<h4>${status}${text}</h4>${what}`;
}

/** By their codes, each of which is explained once, on the page of errors. */
function errors(refused: readonly (readonly [string, Answer])[]): string {
  const codes = refused.flatMap(([status, { description = '' }]) =>
    [...description.matchAll(/^`(\w+)`:/gm)].map(([, code]) => `<a href="/docs/errors#${code}">${code}</a> ${status}`),
  );
  return `<h4>Errors</h4><p class="muted">${codes.join(' · ')}</p>`;
}

function shape(schema: Schema, shapes: Shapes): string {
  const name = schema.$ref?.split('/').at(-1);
  const named = name === undefined ? '' : `<p class="type">${typeOf(schema)}</p>`;
  const inner = name === undefined ? schema : (shapes[name] ?? schema);
  return inner.properties === undefined ? named || `<p class="type">${typeOf(schema)}</p>` : named + fields(inner);
}

function described({ description }: Schema): string {
  return description === undefined ? '' : prose(description);
}

function fields({ properties, required = [], ...schema }: Schema): string {
  if (properties === undefined) return `<p class="type">${typeOf(schema)}</p>`;
  const entries = Object.entries(properties).map(([name, inner]) => entry(name, inner, required.includes(name), ''));
  return entries.length === 0 ? '<p class="muted">Nothing.</p>' : `<ul class="fields">${entries.join('')}</ul>`;
}

function entry(name: string, schema: Schema, isRequired: boolean, where: string): string {
  const notes = [where, isRequired ? '' : 'optional', limits(schema)].filter((note) => note !== '').join(', ');
  const inner = schema.properties ?? schema.items?.properties;
  const nested = inner === undefined ? '' : fields(schema.properties === undefined ? schema.items! : schema);
  const about = schema.description === undefined ? '' : ` — ${inline(schema.description)}`;
  return `<li><code>${escapeHtml(name)}</code> <span class="type">${typeOf(schema)}</span>${notes === '' ? '' : ` <span class="muted">${escapeHtml(notes)}</span>`}${about}${nested}</li>`;
}

function limits({ default: fallback, minLength, maxLength, minimum, maximum }: Schema): string {
  const bounds = [
    fallback === undefined ? '' : `default ${JSON.stringify(fallback)}`,
    minLength === undefined && maxLength === undefined ? '' : `${minLength ?? 0} to ${maxLength ?? '…'} characters`,
    minimum === undefined && maximum === undefined ? '' : range(minimum, maximum),
  ];
  return bounds.filter((bound) => bound !== '').join(', ');
}

function range(minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY): string {
  // Whole numbers are bounded by what a double holds, which tells nobody anything.
  const known = (bound: number) => Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  if (known(minimum) && known(maximum)) return `${minimum} to ${maximum}`;
  return known(minimum) ? `from ${minimum}` : known(maximum) ? `up to ${maximum}` : '';
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1)!;
    return `<a href="#shape-${name}">${name}</a>`;
  }
  if (schema.const !== undefined) return escapeHtml(JSON.stringify(schema.const));
  if (schema.enum !== undefined) return escapeHtml(schema.enum.map((value) => JSON.stringify(value)).join(' | '));
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return either.map(typeOf).join(' | ');
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  const type = typeof schema.type === 'string' ? schema.type : (schema.type?.join(' | ') ?? 'anything');
  return escapeHtml(schema.format === undefined ? type : `${schema.format}`);
}

/** A request that can be pasted: what is to be filled in are variables of the shell, and dots in the body. */
function curl({ method, path, security, parameters = [] }: Listed, body: Schema | undefined, shapes: Shapes): string {
  const query = parameters.filter((each) => each.in === 'query' && each.required === true);
  const url =
    path.replace(/\{(\w+)\}/g, (_, name: string) => `$${name.toUpperCase()}`) +
    query.map(({ name }, n) => `${n === 0 ? '?' : '&'}${name}=$${name.toUpperCase()}`).join('');
  return [
    `curl ${method === 'GET' ? '' : `-X ${method} `}"$DARKSPERE_URL${url}"`,
    ...(security?.length === 0 ? [] : ['  -H "Authorization: Bearer $DARKSPERE_KEY"']),
    ...(body === undefined
      ? []
      : [
          `  -H 'content-type: application/json' -d '${JSON.stringify(example(body, shapes)).replaceAll("'", "'\\''")}'`,
        ]),
  ].join(' \\\n');
}

/** The least that a body must have. */
function example(schema: Schema, shapes: Shapes): unknown {
  const name = schema.$ref?.split('/').at(-1);
  if (name !== undefined) return example(shapes[name] ?? {}, shapes);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.default !== undefined) return schema.default;
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return example(either[0] ?? {}, shapes);
  if (schema.properties !== undefined || schema.type === 'object') {
    const required = (schema.required ?? []).map((key) => [key, example(schema.properties?.[key] ?? {}, shapes)]);
    return Object.fromEntries(required);
  }
  if (schema.type === 'array') return schema.items === undefined ? [] : [example(schema.items, shapes)];
  if (schema.type === 'integer' || schema.type === 'number') return Math.max(1, schema.minimum ?? 1);
  return schema.type === 'boolean' ? true : '…';
}

/** /llms.txt: what there is, in a form that costs little to read; `document` is where the OpenAPI document is. */
export function apiSummary(api: OpenApi, document: string): string {
  const line = ({ method, path, summary, operationId }: Listed) =>
    `- [${method} ${path}](/docs#${operationId}): ${summary}`;
  return [
    `# ${api.info.title}`,
    '',
    '> Gives any AI agent a phone number: a text comes in, is stored, an agent answers, the answer goes back as a text; every text is answered, once, in order.',
    '',
    api.info.description,
    '',
    '## Documents',
    '',
    `- [OpenAPI 3.1](${document}): every route with its shapes`,
    '- [API as a page](/docs)',
    '- [Errors](/docs/errors): every code, what it means and what to do',
    '',
    '## Routes',
    '',
    ...operationsOf(api).map(line),
    '',
  ].join('\n');
}
