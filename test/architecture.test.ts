// The rules of ARCHITECTURE.md and CONTRIBUTING.md that a machine can hold. Each test gives a list of offences, so that a
// failure says where; each table is checked both ways, so that an entry nobody needs any more fails too.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CATALOGUE } from '../src/errors.ts';
import {
  callsOf,
  importsOf,
  projectFiles,
  read,
  resolveImport,
  withoutComments,
  withoutSqlComments,
} from './support/source-tree.ts';

const FILES = projectFiles();
const isTest = (path: string) => path.endsWith('.test.ts');
const SOURCES = FILES.filter((path) => /^src\/.*\.ts$/.test(path) && !isTest(path));
/** What runs in the browser. */
const CONSOLE = FILES.filter(
  (path) => /^console\/.*\.tsx?$/.test(path) && !isTest(path) && path !== 'console/vite.config.ts',
);
const CODE = FILES.filter((path) => /\.(tsx?|mjs|sql|css)$/.test(path));
/** Written by a script. */
const GENERATED = new Set(['database/schema.sql', 'src/database/tables.ts']);

/** A row may import what stands in rows before it and itself; the domains of one row do not know each other. */
const LAYERS = [
  ['errors', 'ids', 'clock', 'text'],
  ['config'],
  ['observability'],
  ['database'],
  ['security'],
  ['accounts'],
  ['channels'],
  ['agents', 'billing'],
  ['bridge'],
  ['inbox', 'adapter'],
  ['jobs'],
  ['http'],
  ['runtime'],
  ['cli'],
  ['main'],
];
const layerOf = (domain: string) => LAYERS.findIndex((row) => row.includes(domain));
/** `src/bridge/turn.ts` → bridge, `src/config.ts` → config. */
const domainOf = (path: string) => path.split('/')[1]!.replace(/\.ts$/, '');

/** Which folder may write a table; everybody else calls the owner's functions. */
const OWNERS: Readonly<Record<string, string>> = {
  phone_numbers: 'accounts',
  brands: 'accounts',
  campaigns: 'accounts',
  contacts: 'accounts',
  allowed_recipients: 'accounts',
  program_limits: 'accounts',
  agent_registry: 'agents',
  agent_sessions: 'agents',
  agent_health_checks: 'agents',
  agent_call_times: 'agents',
  agent_copies: 'agents',
  agent_slots: 'agents',
  agent_health_history: 'agents',
  agent_health_looks: 'agents',
  session_failovers: 'agents',
  consents: 'security',
  login_tokens: 'security',
  auth_sessions: 'security',
  api_keys: 'security',
  conversations: 'bridge',
  webhook_receipts: 'bridge',
  messages: 'bridge',
  turns: 'bridge',
  outbound_parts: 'bridge',
  exchanges: 'bridge',
  program_texts: 'bridge',
  sender_pacing: 'bridge',
  pacing_windows: 'bridge',
  message_words: 'inbox',
  conversation_activity: 'inbox',
  live_watchers: 'inbox',
  replays: 'inbox',
  agent_chats: 'inbox',
  adapter_sessions: 'adapter',
  worker_pools: 'jobs',
  partitioned_tables: 'database',
  schema_migrations: 'database',
  schema_repeatables: 'database',
};
/** Tables of others that the text path writes, because a text, a turn or a STOP is one commit. */
const ONE_COMMIT: Readonly<Record<string, string>> = {
  contacts: 'the first text of a person makes the contact it belongs to',
  agent_sessions: 'a turn opens, moves and ends the session it is part of',
  consents: 'STOP must hold from the commit that stores it on, and a refused send (21610) is one',
};

/** What only commands call, which end when their connection breaks. */
const COMMANDS_ONLY = new Set(['src/database/migrate.ts']);

const MAX_LINES = 400;
/** A table, of cases in a test or of data, is read by looking one up, not from top to bottom. */
const MAX_TABLE_LINES = 600;
const TABLES_OF_DATA = new Set(['src/errors.ts', 'src/config/variables.ts']);

/** Everything that may be a field of a log line: ids, counts, codes and our own words. */
const LOG_FIELDS = new Set(
  'agent applied bytes code conversation conversations error jobs ms outcome part pool reason records route service source trace turn'.split(
    ' ',
  ),
);

describe('imports', () => {
  it('go one way only', () => {
    const offences: string[] = [];
    for (const path of SOURCES) {
      const from = domainOf(path);
      for (const target of relativeImports(path).filter((to) => to.startsWith('src/'))) {
        const to = domainOf(target);
        if (from === to) continue;
        if (layerOf(to) < 0 || layerOf(from) < 0 || layerOf(to) >= layerOf(from)) offences.push(`${path} → ${target}`);
        if (from === 'channels' && to === 'database') offences.push(`${path} → ${target}: a channel has no database`);
      }
    }
    assert.deepEqual(offences, []);
  });

  it('know every folder of src', () => {
    const domains = [...new Set(SOURCES.map(domainOf))];
    assert.deepEqual(
      domains.filter((domain) => layerOf(domain) < 0),
      [],
    );
  });

  it('never go from one carrier to another', () => {
    const provider = (path: string) => /^src\/channels\/([^/]+)\//.exec(path)?.[1];
    const offences = SOURCES.filter((path) => provider(path) !== undefined).flatMap((path) =>
      relativeImports(path)
        .filter((target) => provider(target) !== undefined && provider(target) !== provider(path))
        .map((target) => `${path} → ${target}`),
    );
    assert.deepEqual(offences, []);
  });

  it('never go in a circle; types may name each other', () => {
    const graph = new Map(SOURCES.map((path) => [path, relativeImports(path, { types: false })]));
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      const at = trail.indexOf(path);
      if (at >= 0) circles.push([...trail.slice(at), path].join(' → '));
      if (at >= 0 || done.has(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
    assert.deepEqual(circles, []);
  });

  it('of the product take nothing from the tests: their doubles are in test/support', () => {
    const offences = SOURCES.flatMap((path) =>
      importsOf(read(path))
        .filter((name) => /^node:(assert|test)/.test(name) || resolveImport(path, name).startsWith('test/'))
        .map((name) => `${path} → ${name}`),
    );
    assert.deepEqual(offences, []);
  });

  it('of examples and of the SDK stay out of the product: they stand for the programs of others', () => {
    const outside = FILES.filter((path) => /^(examples|sdk|create-darkspere-agent)\/.*\.(ts|mjs)$/.test(path));
    const offences = outside.flatMap((path) =>
      relativeImports(path)
        .filter((target) => !target.startsWith(`${path.split('/').slice(0, 2).join('/')}/`))
        .filter((target) => !(isTest(path) && target.startsWith('test/')))
        .map((target) => `${path} → ${target}`),
    );
    assert.ok(outside.length > 0);
    assert.deepEqual(offences, []);
  });

  it('of packages that others install name only what those packages ask for', () => {
    const offences = ['sdk', 'create-darkspere-agent'].flatMap((folder) => {
      const { dependencies } = JSON.parse(read(`${folder}/package.json`)) as Record<string, object>;
      return FILES.filter((path) => path.startsWith(`${folder}/src/`) && path.endsWith('.ts') && !isTest(path)).flatMap(
        (path) =>
          packageImports(path)
            .filter((name) => !(name in dependencies!))
            .map((name) => `${path} imports ${name}`),
      );
    });
    assert.deepEqual(offences, []);
  });

  it('of the console stay in it, but for the types of what it exchanges with the gateway', () => {
    const offences = CONSOLE.flatMap((path) => {
      const atRunTime = new Set(relativeImports(path, { types: false }));
      return relativeImports(path)
        .filter((target) => !target.startsWith('console/'))
        .filter((target) => target !== 'src/http/contract.ts' || atRunTime.has(target))
        .map((target) => `${path} → ${target}`);
    });
    assert.ok(CONSOLE.length > 20);
    assert.deepEqual(offences, []);
  });

  it('lead to files that exist', () => {
    const known = new Set(FILES);
    const all = FILES.filter((path) => /\.tsx?$/.test(path));
    const offences = all.flatMap((path) =>
      relativeImports(path)
        .filter((target) => !known.has(target))
        .map((target) => `${path} → ${target}`),
    );
    assert.deepEqual(offences, []);
  });

  it('of packages are apart in the console, which is built in, and in the program, which runs without them', () => {
    const ofConsole = new Set(CONSOLE.flatMap(packageImports));
    const shared = SOURCES.flatMap((path) => packageImports(path).filter((name) => ofConsole.has(name)));
    assert.deepEqual(shared, []);
  });

  it('name only packages that package.json asks for', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, object>;
    const offences = [...SOURCES, ...CONSOLE].flatMap((path) =>
      packageImports(path)
        .filter((name) => !(name in dependencies!))
        .map((name) => `${path} imports ${name}`),
    );
    assert.deepEqual(offences, []);
    assert.deepEqual(
      Object.keys(devDependencies!).filter((name) => name in dependencies!),
      [],
    );
  });
});

describe('tables', () => {
  const tables = FILES.filter((path) => path.startsWith('database/migrations/'))
    .concat('src/database/migrate.ts')
    .flatMap((path) =>
      [...read(path).matchAll(/create (?:unlogged )?table (?:if not exists )?([a-z_]+)/g)].map((match) => match[1]!),
    );

  it('have one owner each', () => {
    assert.deepEqual([...new Set(tables)].sort(), Object.keys(OWNERS).sort());
  });

  it('are written from TypeScript by their owner alone', () => {
    const offences = SOURCES.flatMap((path) =>
      writesIn(withoutComments(read(path)))
        .filter((table) => OWNERS[table] !== domainOf(path))
        .map((table) => `${path} writes ${table}`),
    );
    assert.deepEqual(offences, []);
  });

  it('are written by SQL functions of their owner alone, but for what is one commit', () => {
    const used = new Set<string>();
    const offences: string[] = [];
    for (const path of FILES.filter((name) => /^database\/(functions|views)\/.*\.sql$/.test(name))) {
      const owner = path.split('/')[2]!;
      for (const table of writesIn(withoutSqlComments(read(path)))) {
        if (OWNERS[table] === owner) continue;
        if (owner === 'bridge' && table in ONE_COMMIT) used.add(table);
        else offences.push(`${path} writes ${table}`);
      }
    }
    assert.deepEqual(offences, []);
    assert.deepEqual([...used].sort(), Object.keys(ONE_COMMIT).sort());
  });

  it('of the text path are written by SQL functions only, never by a statement in src/bridge', () => {
    const offences = SOURCES.filter((path) => path.startsWith('src/bridge/')).flatMap((path) =>
      writesIn(withoutComments(read(path))).map((table) => `${path} writes ${table}`),
    );
    assert.deepEqual(offences, []);
  });
});

describe('source', () => {
  it('has names that say what is inside', () => {
    const vague = /^(utils?|helpers?|services?|managers?|models?|types?|common|misc|shared|lib)$/;
    const allowed = new Set(['src/http/services.ts']);
    const offences = CODE.filter((path) => !allowed.has(path)).filter((path) =>
      path.split('/').some((part) => vague.test(part.replace(/(\.test)?\.[a-z]+$/, ''))),
    );
    assert.deepEqual(offences, []);
  });

  it('is named in kebab-case', () => {
    const offences = CODE.filter((path) =>
      /^(src|test|console|examples|scripts|bench|sdk|create-darkspere-agent)\//.test(path),
    ).filter((path) => !/^[a-z0-9/.-]+$/.test(path));
    assert.deepEqual(offences, []);
  });

  it('reads the environment in config.ts alone; commands may hand it on', () => {
    const offences = SOURCES.filter((path) => path !== 'src/config.ts').filter((path) => {
      const code = withoutComments(read(path));
      const handedOn = path.startsWith('src/cli/') ? code.replaceAll('loadConfig(process.env,', '') : code;
      return handedOn.includes('process.env');
    });
    assert.deepEqual(offences, []);
  });

  it('comes in files that can be read in one go', () => {
    const offences = CODE.filter((path) => !GENERATED.has(path))
      .map((path) => ({ path, lines: read(path).split('\n').length - 1 }))
      .filter(({ path, lines }) => {
        const isTable = path.startsWith('test/') || isTest(path) || TABLES_OF_DATA.has(path);
        return lines > (isTable ? MAX_TABLE_LINES : MAX_LINES);
      })
      .map(({ path, lines }) => `${path}: ${lines} lines`);
    assert.deepEqual(offences, []);
  });

  it('opens no transaction from a process that stays: broken, they take it along (src/agents/health-recorder.ts)', () => {
    assert.deepEqual(
      SOURCES.filter((path) => !COMMANDS_ONLY.has(path)).filter((path) =>
        /\.begin\(/.test(withoutComments(read(path))),
      ),
      [],
    );
  });

  it('leaves nothing for later', () => {
    assert.deepEqual(
      CODE.filter((path) => /\b(?:TO[D]O|FIX[M]E|X{3}|HA[C]K)\b/.test(read(path))),
      [],
    );
  });

  it('uses every error code that clients are promised', () => {
    const texts = [
      ...SOURCES.filter((path) => path !== 'src/errors.ts'),
      ...FILES.filter((path) => /^database\/functions\//.test(path)),
    ]
      .map(read)
      .join('\n');
    const unused = Object.keys(CATALOGUE).filter((code) => !new RegExp(`['"]${code}['"]`).test(texts));
    assert.deepEqual(unused, []);
  });
});

describe('logs', () => {
  it('are written with the logger, not to the console', () => {
    assert.deepEqual(
      SOURCES.filter((path) =>
        /\bconsole\.(?:log|info|warn|error|debug|trace|dir|table)\b/.test(withoutComments(read(path))),
      ),
      [],
    );
  });

  it('carry ids, counts, codes and our own words: never a text, an address or a secret', () => {
    const offences: string[] = [];
    let seen = 0;
    for (const path of SOURCES) {
      const code = withoutComments(read(path));
      for (const call of callsOf(code, /\blogger\.(?:trace|debug|info|warn|error|fatal)\(/g)) {
        seen++;
        const fields = /^\{([\s\S]*?)\}(?:,|$)/.exec(call)?.[1];
        const names = (fields?.match(/(?:^|,)\s*([A-Za-z_]+)(?=\s*(?::|,|$))/g) ?? []).map((name) =>
          name.replace(/[^A-Za-z_]/g, ''),
        );
        for (const name of names) if (!LOG_FIELDS.has(name)) offences.push(`${path}: field ${name} in logger(${call})`);
        if (
          /\.\.\.|\b(?:body|text|theirAddress|ourAddress|their_address|our_address|request\.body)\b/.test(fields ?? '')
        ) {
          offences.push(`${path}: content in logger(${call})`);
        }
      }
    }
    assert.ok(seen > 10, 'the pattern no longer finds the calls of the logger');
    assert.deepEqual(offences, []);
  });
});

describe('tests', () => {
  const tests = FILES.filter(isTest);

  it('are all found by npm test', () => {
    const patterns = /const TESTS = \[([^\]]*)\]/.exec(read('scripts/test.ts'))?.[1]?.match(/'[^']+'/g) ?? [];
    const folders = patterns.map((pattern) => pattern.slice(1).split('/')[0]);
    assert.ok(folders.length > 0);
    assert.deepEqual(
      tests.filter((path) => !folders.includes(path.split('/')[0])),
      [],
    );
  });

  it('test something, and none is left out', () => {
    const empty = tests.filter((path) => !/^\s*(?:await )?(?:test|it)(?:\.each)?\(/m.test(read(path)));
    const left =
      /\b(?:test|it|describe|suite)\.(?:only|skip|todo)\b|\bt\.(?:skip|todo)\(|\{[^{}\n]*\b(?:only|skip|todo): /;
    assert.deepEqual(empty, []);
    assert.deepEqual(
      tests.filter((path) => left.test(read(path))),
      [],
    );
  });

  it('stand in files that the runner takes for tests', () => {
    const hidden = FILES.filter((path) => /^(src|test)\/.*\.ts$/.test(path) && !isTest(path)).filter(
      (path) => /^import .* from 'node:test'/m.test(read(path)) && /^(?:test|it|describe)\(/m.test(read(path)),
    );
    assert.deepEqual(hidden, []);
  });
});

describe('papers', () => {
  const papers = FILES.filter((path) => path.endsWith('.md'));

  it('link to files and headings that exist', () => {
    const offences: string[] = [];
    for (const path of papers) {
      for (const [, link] of read(path).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(link!)) continue;
        const [file = '', anchor] = link!.split('#');
        const target = file === '' ? path : resolveImport(path, file);
        if (!FILES.some((known) => known === target || known.startsWith(`${target.replace(/\/$/, '')}/`)))
          offences.push(`${path}: ${link}`);
        else if (anchor !== undefined && target.endsWith('.md') && !anchorsOf(read(target)).has(anchor))
          offences.push(`${path}: ${link}`);
      }
    }
    assert.deepEqual(offences, []);
  });

  it('name files that exist', () => {
    const known = FILES.flatMap((path) => path.split('/').map((_, n, parts) => parts.slice(0, n + 1).join('/')));
    const offences: string[] = [];
    for (const path of papers) {
      for (const [, named] of read(path).matchAll(
        /`((?:src|test|database|docs|examples|scripts|bin|bench|sdk|create-darkspere-agent)\/[\w./-]*\w)\/?`/g,
      )) {
        if (!known.includes(named!)) offences.push(`${path}: ${named}`);
      }
    }
    assert.deepEqual(offences, []);
  });

  it('have the layers and the owners of tables that the tests above hold (ARCHITECTURE.md)', () => {
    const [imports, data] = ['### Imports', '## Data'].map((heading) => {
      const section = read('ARCHITECTURE.md').split(`\n${heading}\n`)[1]!;
      return section.split(/^#/m)[0]!.match(/^\| .*/gm)!;
    });
    const namesIn = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1]!);
    const rows = imports!.map((row) => namesIn(row.split('|')[1]!)).filter((names) => names.length > 0);
    assert.deepEqual(rows, LAYERS);
    const owners = data!.flatMap((row) => {
      const [, owner = '', tables = ''] = row.split('|');
      return namesIn(tables).map((table) => [table, owner.trim()]);
    });
    assert.deepEqual(Object.fromEntries(owners), OWNERS);
  });

  it('of a folder of src name every file beside them, and the tables that the folder owns', () => {
    const offences: string[] = [];
    const ofFolders = papers.filter((path) => /^src\/.*\/README\.md$/.test(path));
    for (const path of ofFolders) {
      const page = read(path);
      const beside = SOURCES.filter((source) => resolveImport(source, './README.md') === path);
      const names = beside.map((source) => source.split('/').at(-1)!);
      const owned = new Set(/This folder owns ([^.]*)\./.exec(page)?.[1]?.match(/\w+(?=`)/g));
      const isOwned = (table: string) => OWNERS[table] === domainOf(path);
      for (const name of names) if (!page.includes(`\`${name}\``)) offences.push(`${path} lacks ${name}`);
      for (const table of new Set([...owned, ...Object.keys(OWNERS)]))
        if (owned.has(table) !== isOwned(table)) offences.push(`${path}: ${table}`);
    }
    assert.ok(ofFolders.length > 3);
    assert.deepEqual(offences, []);
  });
});

function relativeImports(path: string, kinds?: { types: boolean }): string[] {
  return importsOf(read(path), kinds)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => resolveImport(path, specifier));
}

function packageImports(path: string): string[] {
  return importsOf(read(path))
    .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
    .map((specifier) =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    );
}

/** The tables of ours that a text inserts into, updates, deletes from, merges into or truncates. */
function writesIn(text: string): string[] {
  const patterns = [
    /\binsert into ([a-z_]+)/gi,
    /\bdelete from (?:only )?([a-z_]+)/gi,
    /\bupdate (?:only )?([a-z_]+)(?:\s+(?:as\s+)?[a-z_]+)?\s+set\b/gi,
    /\bmerge into ([a-z_]+)/gi,
    /\btruncate (?:table )?([a-z_]+)/gi,
  ];
  const named = patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]!.toLowerCase()));
  return [...new Set(named)].filter((table) => table in OWNERS);
}

/** The anchors of a Markdown page: its headings as GitHub names them, and ids written out. */
function anchorsOf(page: string): Set<string> {
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
  return new Set([...headings, ...[...page.matchAll(/id="([^"]+)"/g)].map((match) => match[1]!)]);
}
