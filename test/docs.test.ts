import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseEnv } from 'node:util';
import { generatedFiles, ROOT, staleFiles } from '../scripts/docs.ts';
import { NAMES, variable } from '../src/config/variables.ts';
import { PARTS, readEnv, toConfig } from '../src/config.ts';
import { CATALOGUE } from '../src/errors.ts';
import { AGENT_TOOLS } from '../src/http/mcp/agent-tools.ts';
import type { Tool } from '../src/http/mcp/tool.ts';
import { toolsFor } from '../src/http/mcp/tools.ts';
import { SCOPES } from '../src/security/principal.ts';

const SITUATION = { tty: false, baseDir: '/srv', parts: PARTS };

describe('generated references', () => {
  it('are fresh (`node scripts/docs.ts` writes them)', () => {
    assert.deepEqual(staleFiles(ROOT), []);
  });

  it('are named when they are stale or missing', (t) => {
    const copy = mkdtempSync(join(tmpdir(), 'docs-'));
    t.after(() => rmSync(copy, { recursive: true }));
    assert.deepEqual(staleFiles(copy), [...generatedFiles().keys()]);
    for (const path of generatedFiles().keys()) cpSync(join(ROOT, path), join(copy, path), { recursive: true });
    writeFileSync(join(copy, 'docs/reference/errors.md'), '# Errors\n');
    assert.deepEqual(staleFiles(copy), ['docs/reference/errors.md']);
  });

  it('have an anchor for every error code and every variable', () => {
    const errors = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8');
    for (const code of Object.keys(CATALOGUE)) assert.ok(errors.includes(`\n## ${code}\n`), code);
    const config = readFileSync(join(ROOT, 'docs/reference/config.md'), 'utf8');
    for (const name of NAMES) assert.ok(config.includes(`<a id="${name}"></a>`), name);
  });

  it('have every shape that the stream of events names in prose', () => {
    const text = readFileSync(join(ROOT, 'docs/reference/openapi.json'), 'utf8');
    const { schemas } = JSON.parse(text).components;
    const named = [...text.matchAll(/\(([A-Z]\w+Event)\)/g)].map((match) => match[1]!);
    assert.equal(named.length, 4);
    for (const name of named) assert.ok(name in schemas, name);
  });
});

describe('the guide to MCP', () => {
  const guide = readFileSync(join(ROOT, 'docs/guide/mcp.md'), 'utf8');
  /** Tool → what it takes, as the table of tools below a heading has it. */
  const takenBelow = (heading: string) => {
    const rows = guide
      .split(`\n## ${heading}\n\n`)[1]!
      .split('\n\n')
      .find((part) => part.startsWith('| tool |'))!;
    return Object.fromEntries(
      [...rows.matchAll(/^\| `(\w+)` \| ([^|]*)\|/gm)].map(([, name, takes]) => [
        name!,
        [...takes!.matchAll(/`(\w+)`/g)].map(([, field]) => field!).sort(),
      ]),
    );
  };
  const inputsOf = (tools: readonly Tool[]) =>
    Object.fromEntries(tools.map(({ name, input }) => [name, Object.keys(input.shape).sort()]));

  it('names every tool and all that it takes', () => {
    const program = { kind: 'api_key', id: '', name: '', scopes: SCOPES } as const;
    assert.deepEqual(takenBelow('The tools'), inputsOf(toolsFor(program)));
    assert.deepEqual(takenBelow('Agents may use it too'), inputsOf(AGENT_TOOLS));
  });
});

describe('.env.example', () => {
  const text = readFileSync(join(ROOT, '.env.example'), 'utf8');

  it('changes nothing when it is copied as it is', () => {
    assert.deepEqual(parseEnv(text), {});
  });

  it('shows the true defaults, and no secret', () => {
    const uncommented = parseEnv(text.replace(/^#(?=[A-Z_]+=)/gm, '')) as Record<string, string>;
    assert.deepEqual(Object.keys(uncommented).sort(), [...NAMES].sort());
    for (const name of NAMES) if (variable(name).secret) assert.equal(uncommented[name], '', name);
    // DB_* decide about the database by being set at all, and empty secrets are problems: only the rest may be set to its default.
    const settable = NAMES.filter((name) => !variable(name).secret && !name.startsWith('DB_'));
    const env = Object.fromEntries(settable.map((name) => [name, uncommented[name]]));
    const [shown, none] = [toConfig(readEnv(env), SITUATION), toConfig(readEnv({}), SITUATION)];
    assert.ok(shown.ok && none.ok);
    assert.deepEqual(shown.config, none.config);
  });
});
