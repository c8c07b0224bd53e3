// `darkspere keys`: keys of programs that use the /v1 API, MCP or the MCP adapter.
import { type Command, InvalidArgumentError } from 'commander';
import { type ApiKey, addApiKey, listApiKeys, revokeApiKey } from '../security/api-keys.ts';
import { SCOPES, type Scope } from '../security/principal.ts';
import { withDatabase } from './database.ts';
import { printJson, printList } from './output.ts';

/** Adds the commands; `onCode` is told the exit code. */
export function addKeyCommands(program: Command, onCode: (code: number) => void): void {
  const keys = program.command('keys').description('keys of programs that use the /v1 API, MCP or the MCP adapter');

  keys
    .command('add')
    .description('make a key; it is shown here, and never again')
    .argument('<name>', 'what it is for', keyName)
    .option('--scope <scopes>', `what it may do, separated by commas: ${SCOPES.join(', ')}`, scopesOf, DEFAULT_SCOPES)
    .option('--json', 'one JSON object', false)
    .action(async (name: string, options: { scope: Scope[]; json: boolean }) => {
      onCode(
        await withDatabase(async (sql) => {
          const added = await addApiKey(sql, { name, scopes: options.scope });
          if (options.json) return printJson(added);
          process.stdout.write(`${added.key}\n`);
          process.stderr.write(
            `This is the key ${name} (${added.scopes.join(', ')}); it is not shown again. Send it as: Authorization: Bearer <key>\n`,
          );
        }),
      );
    });

  keys
    .command('list', { isDefault: true })
    .description('keys that open something, without what would open it')
    .option('--json', 'one JSON object per line', false)
    .action(async ({ json }: { json: boolean }) => {
      onCode(await withDatabase(async (sql) => print(await listApiKeys(sql), json)));
    });

  keys
    .command('revoke')
    .description('take a key away, at once')
    .argument('<name>', 'its name, or its id')
    .option('--json', 'one JSON object', false)
    .action(async (name: string, { json }: { json: boolean }) => {
      onCode(
        await withDatabase(async (sql) => {
          const revoked = await revokeApiKey(sql, name);
          if (json) printJson(revoked);
          else process.stdout.write(`The key ${revoked.name} (${revoked.hint}…) opens nothing any more.\n`);
        }),
      );
    });
}

function print(keys: readonly ApiKey[], json: boolean): void {
  const day = (date: Date | null) => date?.toISOString().slice(0, 16).replace('T', ' ') ?? 'never';
  printList(keys, json, {
    names: ['name', 'key', 'scopes', 'created (UTC)', 'last used (UTC)', 'id'],
    row: (key) => [key.name, `${key.hint}…`, key.scopes.join(', '), day(key.created_at), day(key.last_used_at), key.id],
    none: 'There are no keys yet: darkspere keys add NAME makes one.',
  });
}

/** By its name a program takes conversations over, as the console does with this one. */
const CONSOLE_NAME = 'operator';

function keyName(value: string): string {
  if (value.toLowerCase() === CONSOLE_NAME)
    throw new InvalidArgumentError(`"${CONSOLE_NAME}" is whoever is signed in to the console. Take another name.`);
  if (value.trim() === value && value.length >= 1 && value.length <= 50 && !/\p{C}/u.test(value)) return value;
  throw new InvalidArgumentError('A name of 1 to 50 characters, without spaces around it.');
}

const DEFAULT_SCOPES: readonly Scope[] = ['read'];

/** `before`: what was said so far, where it is said more than once. */
function scopesOf(value: string, before: readonly Scope[]): Scope[] {
  const said = before === DEFAULT_SCOPES ? [] : before;
  const wanted = new Set<string>([...said, ...value.split(',').map((scope) => scope.trim())]);
  const unknown = [...wanted].find((scope) => !(SCOPES as readonly string[]).includes(scope));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`There is no scope "${unknown}". Use one or more of ${SCOPES.join(',')}.`);
  return SCOPES.filter((scope) => wanted.has(scope));
}
