// `darkspere completion <shell>`: what a shell offers after TAB, made from the commands as they are.
import { Argument, type Command, type Option } from 'commander';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Adds the command; call it on the whole program. */
export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('print what makes a shell complete commands and options, for its start-up file')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      [
        '',
        'bash, in ~/.bashrc:  eval "$(darkspere completion bash)"',
        'zsh, in ~/.zshrc after compinit:  eval "$(darkspere completion zsh)"',
        'fish, once:  darkspere completion fish > ~/.config/fish/completions/darkspere.fish',
      ].join('\n'),
    )
    .action((shell: Shell) => {
      process.stdout.write(completionScript(program, shell));
    });
}

/** A place on the command line: the words of its command, each after a space; none at the beginning. */
type Place = {
  readonly at: string;
  readonly words: readonly Word[];
  readonly options: readonly Option[];
};
type Word = { readonly word: string; readonly means: string };

/** The script for a shell. It offers subcommands, named arguments, options and their values; the rest is the person's to type. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, '');
  return { bash, zsh, fish }[shell](places);
}

function placesOf(command: Command, at: string): Place[] {
  const help = command.createHelp();
  const subcommands = help.visibleCommands(command);
  const place: Place = {
    at,
    words: [
      ...subcommands.map((each) => ({ word: each.name(), means: each.description() })),
      ...command.registeredArguments.flatMap(({ argChoices = [], description }) =>
        argChoices.map((word) => ({ word, means: description })),
      ),
    ],
    options: help.visibleOptions(command),
  };
  return [place, ...subcommands.flatMap((each) => placesOf(each, `${at} ${each.name()}`))];
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const patterns = (texts: readonly string[]) => texts.map(quoted).join('|');
const commandsOf = (places: readonly Place[]) => patterns(places.slice(1).map(({ at }) => at));
const flagsOf = ({ short, long }: Option) => [short, long].filter((flag) => flag !== undefined);
const takesValue = ({ required, optional }: Option) => required || optional;

/** The values of options: the shells' cases for the word before the one that is completed. */
function valuesOf(places: readonly Place[], offer: (values: readonly string[]) => string): string[] {
  return places.flatMap(({ at, options }) =>
    options
      .filter(takesValue)
      .map(
        (option) =>
          `    ${patterns(flagsOf(option).map((flag) => `${at} ${flag}`))}) ${offer(option.argChoices ?? [])} return ;;`,
      ),
  );
}

function bash(places: readonly Place[]): string {
  const offer = (words: readonly string[]) =>
    words.length === 0 ? ':;' : `COMPREPLY=($(compgen -W ${quoted(words.join(' '))} -- "$word"));`;
  return `# What bash offers after darkspere.
_darkspere() {
  local word=\${COMP_WORDS[COMP_CWORD]} at= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
    ${commandsOf(places)}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$at \${COMP_WORDS[COMP_CWORD - 1]}" in
${valuesOf(places, offer).join('\n')}
  esac
  case "$at" in
${places
  .map(
    ({ at, words, options }) => `    ${quoted(at)})
      if [[ $word == -* ]]; then ${offer(options.flatMap(flagsOf))} else ${offer(words.map(({ word }) => word))} fi ;;`,
  )
  .join('\n')}
  esac
}
complete -F _darkspere darkspere
`;
}

function zsh(places: readonly Place[]): string {
  const described = (words: readonly Word[]) =>
    words.map(({ word, means }) => quoted(`${word.replaceAll(':', '\\:')}:${means}`)).join(' ');
  const optionsOf = (options: readonly Option[]) =>
    options.flatMap((option) => flagsOf(option).map((word) => ({ word, means: option.description })));
  return `#compdef darkspere
# What zsh offers after darkspere.
_darkspere() {
  local at=''
  local -a offered
  integer i
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
    ${commandsOf(places)}) at="$at \${words[i]}" ;;
    esac
  done
  case "$at \${words[CURRENT - 1]}" in
${valuesOf(places, (values) => (values.length === 0 ? ':;' : `compadd -- ${values.map(quoted).join(' ')};`)).join('\n')}
  esac
  case "$at" in
${places
  .map(
    ({ at, words, options }) => `    ${quoted(at)})
      if [[ "$PREFIX" == -* ]]; then offered=(${described(optionsOf(options))}); else offered=(${described(words)}); fi ;;`,
  )
  .join('\n')}
  esac
  _describe 'darkspere' offered
}
if [[ "\${funcstack[1]}" == _darkspere ]]; then _darkspere "$@"; else compdef _darkspere darkspere; fi
`;
}

function fish(places: readonly Place[]): string {
  const plain = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ at, words, options }) => {
    const here = `complete -c darkspere -n ${plain(`__darkspere_at ${plain(at)}`)}`;
    return [
      ...words.map(({ word, means }) => `${here} -a ${plain(word)} -d ${plain(means)}`),
      ...options.map((option) => {
        const { short, long, description, argChoices = [] } = option;
        return [
          here,
          ...(short === undefined ? [] : ['-s', short.slice(1)]),
          ...(long === undefined ? [] : ['-l', long.slice(2)]),
          ...(takesValue(option) ? ['-x'] : []),
          ...(argChoices.length > 0 ? ['-a', plain(argChoices.join(' '))] : []),
          '-d',
          plain(description),
        ].join(' ');
      }),
    ];
  });
  return `# What fish offers after darkspere.
function __darkspere_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        switch "$at $word"
            case ${places
              .slice(1)
              .map(({ at }) => plain(at))
              .join(' ')}
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c darkspere -f
${lines.join('\n')}
`;
}
