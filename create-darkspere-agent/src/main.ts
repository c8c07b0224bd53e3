#!/usr/bin/env node
// `npx create-darkspere-agent`: asks what it is not told, makes the folder, and says what comes next.
import { parseArgs } from 'node:util';
import * as prompts from '@clack/prompts';
import { CreateError, createAgent } from './create.ts';
import { isTemplate, nameProblem, TEMPLATES, type Template } from './names.ts';

const USAGE = `create-darkspere-agent [NAME] [--name NAME] [--template TEMPLATE]

Makes the folder NAME with an agent that people can text.

${Object.entries(TEMPLATES)
  .map(([name, what]) => `  ${name.padEnd(6)} ${what}`)
  .join('\n')}
`;

/** Why nothing was made; said without a stack. */
class UsageError extends Error {}

type Told = { readonly name: string | undefined; readonly template: string | undefined; readonly help: boolean };

function told(): Told {
  const options = {
    name: { type: 'string' },
    template: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  } as const;
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (positionals.length > 1) throw new UsageError(`One name is enough; there are ${positionals.length}.`);
    if (values.name !== undefined && positionals.length > 0)
      throw new UsageError(`Two names are given: ${positionals[0]}, and ${values.name} with --name. Leave one out.`);
    return { name: values.name ?? positionals[0], template: values.template, help: values.help };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function nameFor(given: string | undefined, canAsk: boolean): Promise<string> {
  if (given === undefined && canAsk) {
    const validate = (value: string | undefined) => nameProblem(value ?? '') ?? undefined;
    return answered(await prompts.text({ message: 'What is the agent called?', placeholder: 'my-agent', validate }));
  }
  const problem = nameProblem(given ?? '');
  if (problem !== null) throw new UsageError(`--name: ${problem}`);
  return given ?? '';
}

async function templateFor(given: string | undefined, canAsk: boolean): Promise<Template> {
  if (given === undefined && canAsk) {
    const options = Object.entries(TEMPLATES).map(([value, hint]) => ({
      value: value as Template,
      label: value,
      hint,
    }));
    return answered(await prompts.select({ message: 'What is it made of?', options }));
  }
  const template = given ?? 'mock';
  if (!isTemplate(template))
    throw new UsageError(`--template: there is no "${template}". ${Object.keys(TEMPLATES).join(', ')} are there.`);
  return template;
}

function answered<T>(answer: T): Exclude<T, symbol> {
  if (prompts.isCancel(answer)) throw new UsageError('Nothing was made.');
  return answer as Exclude<T, symbol>;
}

async function main(): Promise<void> {
  const { help, ...given } = told();
  if (help) return void process.stdout.write(USAGE);
  const canAsk = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const name = await nameFor(given.name, canAsk);
  const template = await templateFor(given.template, canAsk);
  await createAgent(process.cwd(), name, template);
  process.stdout.write(`
${name} is there. In this order:

  cd ${name} && npm install
  npm start
  npx darkspere numbers set +15550001111 --agent-type ${name}

The last one in the folder of Darkspere: from then on the number asks this agent. README.md says more.
`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof CreateError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
