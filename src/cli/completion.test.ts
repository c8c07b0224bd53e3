import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { Argument, Command, Option } from 'commander';
import { completionScript } from './completion.ts';

const program = new Command('darkspere').version('1');
const numbers = program.command('numbers').description('our numbers').option('--json', 'one object per line');
numbers
  .command('set')
  .description("what 'a number' does: its settings")
  .addOption(new Option('--active <yes|no>', 'whether it is answered').choices(['yes', 'no']))
  .option('--hold-text <text>', 'what is said');
program.command('start').addArgument(new Argument('[parts...]', 'parts to run').choices(['gateway', 'worker']));

describe('bash', () => {
  const script = completionScript(program, 'bash');
  for (const [line, offered] of [
    ['', 'numbers start help'],
    ['n', 'numbers'],
    ['numbers ', 'set help'],
    ['numbers --', '--json --help'],
    ['numbers set ', ''],
    ['numbers set --a', '--active'],
    ['numbers set +15551234567 --hold', '--hold-text'],
    ['numbers set +15551234567 --active ', 'yes no'],
    ['numbers set +15551234567 --active y', 'yes'],
    ['numbers set +15551234567 --hold-text ', ''],
    ['start gateway w', 'worker'],
    ['nothing ', 'numbers start help'],
  ] as const) {
    test(`offers after “${line}”: ${offered}`, () => {
      const words = ['darkspere', ...line.split(' ')];
      const asked = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _darkspere; echo "\${COMPREPLY[*]}"`;
      const said = execFileSync('bash', ['-c', `${script}\n${asked}`, 'bash', ...words], { encoding: 'utf8' });
      assert.equal(said.trim(), offered);
    });
  }
});

test('zsh and fish have the same commands and options, with what they mean, and its quotes', () => {
  const zsh = completionScript(program, 'zsh');
  for (const said of [
    "'set:what '\\''a number'\\'' does: its settings'",
    "'--json:one object per line'",
    "' numbers set --active') compadd -- 'yes' 'no'; return ;;",
    "'worker:parts to run'",
  ]) {
    assert.ok(zsh.includes(said), said);
  }
  const fish = completionScript(program, 'fish');
  for (const said of [
    "complete -c darkspere -n '__darkspere_at \\' numbers\\'' -a 'set' -d 'what \\'a number\\' does: its settings'",
    "complete -c darkspere -n '__darkspere_at \\' numbers set\\'' -l active -x -a 'yes no' -d 'whether it is answered'",
    "complete -c darkspere -n '__darkspere_at \\'\\'' -s V -l version -d 'output the version number'",
  ]) {
    assert.ok(fish.includes(said), said);
  }
});
