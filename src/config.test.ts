import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { editDistance } from './config/names.ts';
import { NAMES, type Name, variable } from './config/variables.ts';
import { loadConfig, PARTS, type Problem, readEnv, type Situation, toConfig } from './config.ts';
import { DarkspereError } from './errors.ts';

const SITUATION: Situation = { tty: false, baseDir: '/srv/app', parts: PARTS };
const SID = `AC${'0123456789abcdef'.repeat(2)}`;
const TOKEN = 'f00dfeed'.repeat(4);
const TWILIO = {
  TWILIO_ACCOUNT_SID: SID,
  TWILIO_AUTH_TOKEN: TOKEN,
  TWILIO_PHONE_NUMBERS: '+15551234567',
  PUBLIC_URL: 'https://sms.example.com',
};
const KEY = Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('base64');
const EXTERNAL = {
  DATABASE_URL: 'postgres://app:s3cret-word@db.example.com/texts',
  REGISTRATION_SECRET: 'a-long-enough-secret',
  DARKSPERE_SECRET_KEY: KEY,
};

function good(env: NodeJS.ProcessEnv, situation: Partial<Situation> = {}) {
  const result = toConfig(readEnv(env), { ...SITUATION, ...situation });
  assert.ok(result.ok, JSON.stringify(result));
  return result;
}

function problemsOf(env: NodeJS.ProcessEnv, situation: Partial<Situation> = {}): Problem[] {
  const result = toConfig(readEnv(env), { ...SITUATION, ...situation });
  assert.ok(!result.ok, 'expected problems');
  return result.problems;
}

describe('defaults', () => {
  it('need no variable at all: simulator, embedded database, loopback', () => {
    const { config, warnings } = good({});
    assert.deepEqual(config, {
      ports: {
        gateway: 8000,
        mcpAdapter: 8001,
        agentRegistration: 8002,
        worker: 8005,
        simulator: 8006,
        demoAgent: 8007,
      },
      host: '127.0.0.1',
      publicUrl: 'http://localhost:8000',
      consoleUrl: 'http://localhost:8000',
      dataDir: '/srv/app/.darkspere',
      spool: { directory: '/srv/app/.darkspere/spool', maxBytes: 256 * 1024 * 1024 },
      database: { kind: 'embedded' },
      pools: { web: 4, worker: 6, admin: 2 },
      carrier: { kind: 'simulator' },
      numbers: ['+15550001111'],
      quietMs: 800,
      agentDeadlines: { connectMs: 3000, firstByteMs: 20_000, totalMs: 30_000 },
      turnMs: 60_000,
      concurrency: 2000,
      prices: { segment: 8300, mms: 22000 },
      takeoverMinutes: 30,
      probeMs: 30_000,
      carrierKeywords: true,
      pacing: true,
      registrationSecret: null,
      secretKey: null,
      egressAllow: ['127.0.0.0/8', '::1/128'],
      agent: null,
      demoAgent: true,
      logLevel: 'info',
      logFormat: 'json',
      shutdownMs: 25_000,
    });
    assert.deepEqual(warnings, []);
  });

  it('change with a real carrier', () => {
    const { config } = good(TWILIO);
    assert.deepEqual(config.carrier, {
      kind: 'twilio',
      accountSid: SID,
      authTokens: [TOKEN],
      apiUrl: 'https://api.twilio.com',
      messagingServiceSid: null,
    });
    assert.equal(config.host, '0.0.0.0');
    assert.equal(config.demoAgent, false);
    assert.deepEqual(config.egressAllow, []);
    assert.deepEqual(config.numbers, ['+15551234567']);
  });

  it('change with an external database', () => {
    const { config } = good(EXTERNAL);
    assert.deepEqual(config.database, { kind: 'external', url: EXTERNAL.DATABASE_URL });
    assert.deepEqual(config.pools, { web: 50, worker: 100, admin: 10 });
    assert.deepEqual(config.secretKey, Buffer.from(KEY, 'base64'));
  });

  it('take an empty variable for an absent one, but never an empty secret', () => {
    assert.deepEqual(
      good({ PORT: '', PUBLIC_URL: ' ', TWILIO_ACCOUNT_SID: '', DB_PASSWORD: '' }).config,
      good({}).config,
    );
    for (const name of ['TWILIO_AUTH_TOKEN', 'REGISTRATION_SECRET', 'DARKSPERE_SECRET_KEY', 'DATABASE_URL'] as const) {
      assert.ok(
        problemsOf({ [name]: '' }).some(({ variable, what }) => variable === name && what === 'is set but empty'),
        name,
      );
    }
  });

  it('decide the log format by the terminal', () => {
    assert.equal(good({}, { tty: true }).config.logFormat, 'pretty');
    assert.equal(good({ DARKSPERE_LOG_FORMAT: 'json' }, { tty: true }).config.logFormat, 'json');
    assert.equal(good({ DARKSPERE_LOG_FORMAT: 'PRETTY' }).config.logFormat, 'pretty');
  });
});

describe('values', () => {
  it('are normalised', () => {
    const { config } = good({
      ...TWILIO,
      TWILIO_AUTH_TOKEN: ` ${TOKEN} , ${TOKEN}, second-token-0123456789 `,
      TWILIO_PHONE_NUMBERS: '+1 (555) 123-4567, +15551234567,+442071838750,',
      PUBLIC_URL: ' https://SMS.example.com/hooks// ',
      DARKSPERE_DATA_DIR: '../data',
      DARKSPERE_EGRESS_ALLOW: '10.0.0.0/8, 192.168.1.5, fd00::/8, ::1',
    });
    assert.ok(config.carrier.kind === 'twilio');
    assert.deepEqual(config.carrier.authTokens, [TOKEN, 'second-token-0123456789']);
    assert.deepEqual(config.numbers, ['+15551234567', '+442071838750']);
    assert.equal(config.publicUrl, 'https://sms.example.com/hooks');
    assert.equal(config.dataDir, '/srv/data');
    assert.deepEqual(config.egressAllow, ['10.0.0.0/8', '192.168.1.5/32', 'fd00::/8', '::1/128']);
    assert.deepEqual(good({ DARKSPERE_EGRESS_ALLOW: 'none', DARKSPERE_DEMO_AGENT: 'off' }).config.egressAllow, []);
  });

  it('make a URL of the five older database variables', () => {
    const { config } = good({
      ...EXTERNAL,
      DATABASE_URL: undefined,
      DB_HOST: 'db',
      DB_USER: 'a@b',
      DB_PASSWORD: 'p:/ w',
    });
    assert.deepEqual(config.database, { kind: 'external', url: 'postgres://a%40b:p%3A%2F%20w@db:5432/darkspere' });
    const six = good({ ...EXTERNAL, DATABASE_URL: undefined, DB_HOST: '::1', DB_PORT: '6000', DB_NAME: 'x' }).config
      .database;
    assert.deepEqual(six, { kind: 'external', url: 'postgres://darkspere@[::1]:6000/x' });
  });

  it('let a messaging service stand in for the numbers', () => {
    const { config } = good({
      ...TWILIO,
      TWILIO_PHONE_NUMBERS: undefined,
      TWILIO_MESSAGING_SERVICE_SID: `MG${'0'.repeat(32)}`,
    });
    assert.deepEqual(config.numbers, []);
  });
});

const BAD: [Name, NodeJS.ProcessEnv][] = [
  ...['80a0', '-1', '65536', '8000.5', '1e3', '0x50'].map((PORT): [Name, NodeJS.ProcessEnv] => ['PORT', { PORT }]),
  ['DARKSPERE_QUIET_MS', { DARKSPERE_QUIET_MS: '5001' }],
  ['DARKSPERE_CONCURRENCY', { DARKSPERE_CONCURRENCY: '0' }],
  ['DARKSPERE_PACING', { DARKSPERE_PACING: 'maybe' }],
  ['LOG_LEVEL', { LOG_LEVEL: 'loud' }],
  ['DARKSPERE_HOST', { DARKSPERE_HOST: 'http://x' }],
  ['AGENT_REGISTRATION_PORT', { PORT: '9000', AGENT_REGISTRATION_PORT: '9000' }],
  ['DARKSPERE_EGRESS_ALLOW', { DARKSPERE_EGRESS_ALLOW: '10.0.0.0/33' }],
  ['DARKSPERE_EGRESS_ALLOW', { DARKSPERE_EGRESS_ALLOW: '010.0.0.0/8' }],
  ['DARKSPERE_EGRESS_ALLOW', { DARKSPERE_EGRESS_ALLOW: 'internal' }],
  ...['sms.example.com', 'ftp://x', 'https://u:p@x', 'https://x/?a=1', 'https://x/#', 'https://x?'].map(
    (PUBLIC_URL): [Name, NodeJS.ProcessEnv] => ['PUBLIC_URL', { PUBLIC_URL }],
  ),
  ['PUBLIC_URL', { ...TWILIO, PUBLIC_URL: undefined }],
  ['PUBLIC_URL', { ...TWILIO, PUBLIC_URL: 'http://sms.example.com' }],
  ['PUBLIC_URL', { ...TWILIO, PUBLIC_URL: 'https://my_host.example.com' }],
  ['TWILIO_ACCOUNT_SID', { ...TWILIO, TWILIO_ACCOUNT_SID: undefined }],
  ['TWILIO_ACCOUNT_SID', { ...TWILIO, TWILIO_ACCOUNT_SID: 'ACshort' }],
  ['TWILIO_ACCOUNT_SID', { ...TWILIO, TWILIO_ACCOUNT_SID: `SK${'0'.repeat(32)}` }],
  ['TWILIO_AUTH_TOKEN', { ...TWILIO, TWILIO_AUTH_TOKEN: undefined }],
  ...[
    '',
    'x',
    'CHANGE_ME',
    'changeme-changeme',
    'your_auth_token_here',
    'xxxxxxxxxxxxxxxxxxxx',
    '<your token here>',
    'short',
    `${TOKEN},short`,
    ' , ',
  ].map((TWILIO_AUTH_TOKEN): [Name, NodeJS.ProcessEnv] => ['TWILIO_AUTH_TOKEN', { ...TWILIO, TWILIO_AUTH_TOKEN }]),
  ['TWILIO_PHONE_NUMBERS', { ...TWILIO, TWILIO_PHONE_NUMBERS: undefined }],
  ['TWILIO_PHONE_NUMBERS', { ...TWILIO, TWILIO_PHONE_NUMBERS: '5551234567' }],
  ['TWILIO_PHONE_NUMBERS', { TWILIO_PHONE_NUMBERS: '+15551234567,+0123456789' }],
  ['TWILIO_MESSAGING_SERVICE_SID', { ...TWILIO, TWILIO_MESSAGING_SERVICE_SID: SID }],
  ['TWILIO_API_URL', { ...TWILIO, TWILIO_API_URL: 'api.twilio.com' }],
  ['DATABASE_URL', { ...EXTERNAL, DATABASE_URL: 'mysql://a/b' }],
  ['DATABASE_URL', { ...EXTERNAL, DATABASE_URL: 'postgres://a' }],
  ['DATABASE_URL', { ...EXTERNAL, DATABASE_URL: 'postgres://u:CHANGE_ME@a/b' }],
  ['DB_HOST', { ...EXTERNAL, DATABASE_URL: undefined, DB_PASSWORD: 'some-word' }],
  ['DB_PASSWORD', { ...EXTERNAL, DATABASE_URL: undefined, DB_HOST: 'db', DB_PASSWORD: 'changeme' }],
  ['REGISTRATION_SECRET', { REGISTRATION_SECRET: 'fifteen-letters' }],
  ['REGISTRATION_SECRET', { REGISTRATION_SECRET: 'please-change-me-now' }],
  ['REGISTRATION_SECRET', { ...EXTERNAL, REGISTRATION_SECRET: undefined }],
  ['DARKSPERE_SECRET_KEY', { ...EXTERNAL, DARKSPERE_SECRET_KEY: undefined }],
  ['DARKSPERE_SECRET_KEY', { DARKSPERE_SECRET_KEY: Buffer.alloc(31, 7).toString('base64') }],
  ['DARKSPERE_SECRET_KEY', { DARKSPERE_SECRET_KEY: Buffer.alloc(32).toString('base64') }],
  ['DARKSPERE_SECRET_KEY', { DARKSPERE_SECRET_KEY: `${KEY.slice(0, 20)}!${KEY.slice(20)}` }],
];

describe('bad values', () => {
  BAD.forEach(([name, env], index) => {
    it(`${name} (${index + 1} of ${BAD.length}) is the one problem`, () => {
      const problems = problemsOf(env);
      assert.deepEqual(
        problems.map(({ variable }) => variable),
        [name],
      );
      assert.ok(problems[0]!.what.length > 5 && problems[0]!.fix.length > 5);
    });
  });

  it('are all listed at once, one per line', () => {
    const env = {
      PORT: 'x',
      LOG_LEVEL: 'loud',
      TWILIO_AUTH_TOKEN: 'CHANGE_ME',
      DATABASE_URL: 'mysql://x/y',
      DARKSPERE_QUIET_MS: '-1',
    };
    assert.throws(
      () => loadConfig(env),
      (error: unknown) => {
        assert.ok(error instanceof DarkspereError && error.code === 'config_invalid');
        const [head, ...lines] = error.message.split('\n');
        assert.match(head!, /10 problems/);
        assert.deepEqual(
          lines.map((line) => line.trim().split(' ')[0]).sort(),
          [
            'DARKSPERE_QUIET_MS',
            'DARKSPERE_SECRET_KEY',
            'DATABASE_URL',
            'LOG_LEVEL',
            'PORT',
            'PUBLIC_URL',
            'REGISTRATION_SECRET',
            'TWILIO_ACCOUNT_SID',
            'TWILIO_AUTH_TOKEN',
            'TWILIO_PHONE_NUMBERS',
          ].sort(),
        );
        return true;
      },
    );
  });

  it('leave out what the started parts do not need', () => {
    const env = { ...EXTERNAL, REGISTRATION_SECRET: undefined, PORT: '8002' };
    assert.equal(good(env, { parts: ['gateway', 'worker'] }).config.registrationSecret, null);
  });

  it('never show a phone number', () => {
    const [problem] = problemsOf({ TWILIO_PHONE_NUMBERS: '+15559876543, 07700900123' });
    assert.match(problem!.what, /entry 2 of 2/);
    assert.doesNotMatch(JSON.stringify(problem), /7700|555987/);
  });
});

describe('secrets', () => {
  const secretNames = NAMES.filter((name) => variable(name).secret === true);
  const hex = fc.stringMatching(/^[0-9A-F]{6,40}$/);
  // Whole, too short, with junk around it, as a password in a URL: a secret may be wrong in many ways.
  const spoiled = hex.chain((secret) =>
    fc.record({
      secret: fc.constant(secret),
      text: fc.constantFrom(
        secret,
        `${secret},a`,
        `postgres://u:${secret}@/`,
        `pg://u:${secret}@h/d`,
        `CHANGE_ME_${secret}`,
        `${secret}!`,
      ),
    }),
  );

  it('never appear in a message or a warning, not even in part, wherever they were put', () => {
    const anywhere = fc.record({
      spoiled,
      name: fc.constantFrom(...secretNames),
      elsewhere: fc.constantFrom(...NAMES),
    });
    fc.assert(
      fc.property(anywhere, ({ spoiled: { secret, text }, name, elsewhere }) => {
        const env = { PORT: 'x', DARKSPERE_PROT: secret, [elsewhere]: secret, [name]: text };
        const result = toConfig(readEnv(env), SITUATION);
        assert.ok(!result.ok);
        const said = JSON.stringify(result.problems);
        for (let at = 0; at + 6 <= secret.length; at += 1) assert.ok(!said.includes(secret.slice(at, at + 6)), said);
      }),
      { numRuns: 500 },
    );
  });

  it('are hidden in the error that loadConfig throws', () => {
    assert.throws(
      () => loadConfig({ TWILIO_AUTH_TOKEN: 'tiny-token', LOG_LEVEL: 'tiny-token' }),
      (error: unknown) =>
        error instanceof DarkspereError && !`${error.message}${JSON.stringify(error.facts)}`.includes('tiny-token'),
    );
  });
});

describe('warnings', () => {
  const CASES: [NodeJS.ProcessEnv, RegExp][] = [
    [{ DARKSPERE_QUIET: '1' }, /DARKSPERE_QUIET .*did you mean DARKSPERE_QUIET_MS\?/],
    [{ DARKSPERE_DATADIR: 'x' }, /did you mean DARKSPERE_DATA_DIR\?/],
    [{ DARKSPERE_COMPLETELY_DIFFERENT_THING: 'x' }, /is not a variable of Darkspere and is ignored\.$/],
    [{ TWILIO_AUTHTOKEN: TOKEN }, /did you mean TWILIO_AUTH_TOKEN\?/],
    [{ TWILIO_API_URL: 'http://localhost:1' }, /no effect/],
    [
      { ...TWILIO, TWILIO_API_URL: 'https://other.example', PUBLIC_URL: 'http://sms.example.com' },
      /PUBLIC_URL is plain http/,
    ],
    [{ ...TWILIO, DARKSPERE_PACING: 'off' }, /DARKSPERE_PACING/],
    [{ ...EXTERNAL, DB_HOST: 'x', DB_NAME: 'y' }, /DB_HOST, DB_NAME have no effect/],
    [{ DARKSPERE_AGENT_CONNECT_MS: '40000' }, /DARKSPERE_AGENT_CONNECT_MS has no effect/],
    [{ DARKSPERE_AGENT_PROTOCOL: 'mcp' }, /DARKSPERE_AGENT_PROTOCOL has no effect without DARKSPERE_AGENT_URL/],
    [{ DARKSPERE_TURN_MS: '10000' }, /DARKSPERE_TURN_MS/],
    [{ DARKSPERE_EGRESS_ALLOW: '10.0.0.0/8' }, /demo agent lives on loopback/],
    [{ DARKSPERE_EGRESS_ALLOW: '0.0.0.0/0' }, /anywhere/],
  ];
  for (const [env, expected] of CASES) {
    it(`${Object.keys(env).at(-1)}: ${expected.source.slice(0, 50)}`, () => {
      const { warnings } = good(env);
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.match(warnings[0]!, expected);
    });
  }

  it('stay away from variables of later releases and of other programs', () => {
    const names =
      'STRIPE_API_KEY REDIS_URL REDIS_HOST N8N_WEBHOOK_URL OTEL_EXPORTER_OTLP_ENDPOINT LOGGING_PORT STRIPE_WEBHOOKS_PORT TWILIO_API_KEY TWILIO_REGION PATH DARKSPERE_URL';
    assert.deepEqual(good(Object.fromEntries(names.split(' ').map((name) => [name, 'x']))).warnings, []);
  });

  it('measure closeness in single edits', () => {
    assert.equal(editDistance('kitten', 'sitting'), 3);
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        assert.equal(editDistance(a, b), editDistance(b, a));
        assert.equal(editDistance(a, b) === 0, a === b);
        assert.ok(
          editDistance(a, b) >= Math.abs(a.length - b.length) && editDistance(a, b) <= Math.max(a.length, b.length),
        );
      }),
    );
  });
});

describe('the agent of the environment', () => {
  it('an agent named in the environment takes the place of the demo agent', () => {
    const secret = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz';
    const env = { DARKSPERE_AGENT_URL: 'http://127.0.0.1:9000/chat', DARKSPERE_AGENT_SECRET: secret };
    const { config } = loadConfig(env, SITUATION);
    assert.equal(config.demoAgent, false);
    assert.deepEqual(config.agent, {
      url: 'http://127.0.0.1:9000/chat',
      protocol: 'envelope',
      credential: null,
      signingSecret: secret,
      metadata: {},
    });
    const openai = loadConfig(
      {
        DARKSPERE_AGENT_URL: 'https://llm.example.com/v1',
        DARKSPERE_AGENT_PROTOCOL: 'openai',
        DARKSPERE_AGENT_KEY: 'sk-1',
        DARKSPERE_AGENT_MODEL: 'm',
      },
      SITUATION,
    ).config.agent;
    assert.deepEqual([openai?.credential, openai?.metadata], ['sk-1', { model: 'm' }]);
  });

  it('an envelope agent needs a signing secret of the right shape', () => {
    const url = { DARKSPERE_AGENT_URL: 'http://127.0.0.1:9000/chat' };
    assert.throws(() => loadConfig(url, SITUATION), /DARKSPERE_AGENT_SECRET is missing/);
    assert.throws(
      () => loadConfig({ ...url, DARKSPERE_AGENT_SECRET: 'just a long enough text' }, SITUATION),
      (error: Error) =>
        /DARKSPERE_AGENT_SECRET does not have the shape/.test(error.message) && !/long enough/.test(error.message),
    );
  });
});
