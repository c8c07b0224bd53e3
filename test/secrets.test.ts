// No password, key or secret stands in the repository: what needs one makes its own, or is told it by the environment. Tests are
// left out, since what they use opens nothing.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VARIABLES } from '../src/config/variables.ts';
import { projectFiles, read } from './support/source-tree.ts';

const FILES = projectFiles().filter((path) => !/^test\/|\.test\.ts$|^package-lock\.json$|\.(png|woff2?)$/.test(path));

/** What gives a secret away. A pattern's group `value` is what must be a placeholder; without it every match is an offence. */
const SIGNS: Readonly<Record<string, RegExp>> = {
  'a literal under the name of a secret':
    /\b[\w-]*(?:password|passphrase|secret|token|api[_-]?key|credential)s?["']?\]?(?::|\s*(?:=|\?\?|\|\|))\s*(?<quote>["'`])(?<value>[^"'`\n]*)\k<quote>/gi,
  'a variable of the environment': /\b[A-Z][A-Z0-9_]*(?:PASSWORD|SECRET|TOKEN|_KEY|CREDENTIAL)S?=(?<value>[^\s"'`)]*)/g,
  'an address with a password': /\b[a-z][a-z0-9+]*:\/\/(?!user:password@)[^\s/:@"'`<>]+:(?<value>[^\s/@"'`<>]+)@/gi,
  'a password in SQL': /\bpassword\s+'(?<value>[^'\n]*)'/gi,
  'a key of ours': /\b(?:dsk|dsl|dss|dsp_agent|dsp_reg)_[\w-]{16,}/g,
  'a signing secret': /\bwhsec_[A-Za-z0-9+/=]{16,}/g,
  'a key of others':
    /\b(?:sk-[\w-]{20,}|(?:sk|rk)_(?:live|test)_\w{10,}|SK[0-9a-f]{32}|AKIA[0-9A-Z]{16}|gh[opsu]_\w{30,}|xox[abp]-[\w-]{10,})/g,
  'a private key': /-----BEGIN [A-Z ]*PRIVATE KEY-----/g,
};

/** Nothing, left out, a variable, what a command makes, or the prefix alone. */
const PLACEHOLDER = /^$|…|^\$|\$[{(]|^whsec_$/;

/** What looks like one and is none. */
const HARMLESS: Readonly<Record<string, string>> = {
  "console/pages/agents/register.tsx: a literal under the name of a secret: api_key: 'YOUR KEY'":
    'in a command that is copied, where the reader puts their own',
  'docs/guide/twilio.md: a variable of the environment: TWILIO_AUTH_TOKEN=current,next': 'words for two tokens',
  'docs/guide/twilio.md: a variable of the environment: TWILIO_AUTH_TOKEN=next': 'a word for a token',
  "scripts/docs.ts: a literal under the name of a secret: password: 'text'": 'what kind of text a variable takes',
  "scripts/docs.ts: a literal under the name of a secret: secret: 'text, 16 characters or more'": 'the same',
  "scripts/docs.ts: a literal under the name of a secret: secrets: 'list of texts, 16 characters or more each'":
    'the same',
  'src/ids.ts: a literal under the name of a secret: token: `prefix`': 'a comment',
};

function found(text: string): string[] {
  return Object.entries(SIGNS).flatMap(([sign, pattern]) =>
    [...text.matchAll(pattern)]
      .filter(({ groups }) => groups?.value === undefined || !PLACEHOLDER.test(groups.value))
      .map(([match]) => `${sign}: ${match}`),
  );
}

describe('the repository', () => {
  it('has no password, key or secret in it', () => {
    const all = FILES.flatMap((path) => found(read(path)).map((offence) => `${path}: ${offence}`));
    assert.deepEqual(
      all.filter((offence) => !Object.hasOwn(HARMLESS, offence)),
      [],
    );
    assert.deepEqual(
      Object.keys(HARMLESS).filter((offence) => !all.includes(offence)),
      [],
      'not there any more',
    );
  });

  it('gives no variable that is a secret a value', () => {
    const secrets = Object.entries(VARIABLES).filter(([, variable]) => 'secret' in variable);
    assert.ok(secrets.length > 0);
    const example = read('.env.example').split('\n');
    for (const [name, variable] of secrets) {
      assert.equal(variable.default, null, name);
      assert.ok(example.includes(`#${name}=`), `#${name}= without a value is not in .env.example`);
    }
  });

  it('would be seen to have one', () => {
    const samples = {
      'a literal under the name of a secret': [
        `password: 'postgres'`,
        `const adminPassword = "changeme"`,
        `process.env.API_TOKEN ?? 'letmein'`,
        `"client_secret": "b7c1"`,
        `headers['x-api-key'] = 'abc'`,
      ],
      'a variable of the environment': ['POSTGRES_PASSWORD=postgres', 'export DARKSPERE_SECRET_KEY=MDEyMw=='],
      'an address with a password': ['postgres://darkspere:darkspere@db:5432/darkspere'],
      'a password in SQL': [`create role web login password 'web'`],
      'a key of ours': [`dsk_${'a1'.repeat(16)}`, `dsp_reg_${'a1'.repeat(16)}`],
      'a signing secret': [`whsec_${'a1'.repeat(16)}`],
      'a key of others': [`sk-${'a1'.repeat(16)}`, `SK${'a1'.repeat(16)}`, `AKIA${'A1'.repeat(8)}`],
      'a private key': ['-----BEGIN RSA PRIVATE KEY-----'],
    };
    assert.deepEqual(Object.keys(samples), Object.keys(SIGNS));
    for (const [sign, texts] of Object.entries(samples))
      for (const text of texts)
        assert.ok(
          found(text).some((each) => each.startsWith(sign)),
          text,
        );
  });
});
