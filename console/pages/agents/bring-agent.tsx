// Before the first agent: how to bring one, from the quickest way to one's own.
import { Plus } from 'lucide-react';
import { Link } from 'wouter';
import { Command, Way, Ways } from '../../parts/ways.tsx';
import { apiCurl } from './curl.ts';

const SCAFFOLD = 'npx create-darkspere-agent my-agent';
const DEMO = 'DARKSPERE_DEMO_AGENT=on npm start';
const EXAMPLE = {
  agent_name: 'my agent',
  agent_type: 'chat',
  endpoint_url: 'https://agent.example.com/',
  capabilities: [],
};

function Code({ children }: { readonly children: string }) {
  return <code className="font-mono text-small">{children}</code>;
}

export function BringAgent() {
  return (
    <div className="scroll-y @container h-full">
      <div className="px-4 pt-5 pb-10 @xl:px-6 @xl:pt-7">
        <h1 className="text-figure font-semibold tracking-tight">Bring an agent</h1>
        <p className="mt-0.5 max-w-prose text-large text-ink-2">
          Any program that can answer a question can answer texts. Until there is one, people who text are told that
          nobody can answer.
        </p>
        <Ways>
          <Way title="Write one" action={<Command text={SCAFFOLD} />}>
            A folder with an agent that runs: one function gets the text and gives the answer. It registers itself. In
            the folder of Darkspere the command works as it is; for elsewhere, <Code>npm run packages -- FOLDER</Code>{' '}
            there and <Code>npm install FOLDER/*.tgz</Code> here come first.
          </Way>
          <Way
            title="Register one that runs"
            action={
              <Link
                href="/agents/new"
                className="inline-flex h-8 items-center gap-1.5 rounded-md bg-ink px-3 font-medium text-on-ink hover:bg-ink-2"
              >
                <Plus size={14} strokeWidth={2.2} aria-hidden /> Register an agent
              </Link>
            }
          >
            An MCP server, an A2A agent, an OpenAI-compatible endpoint, an n8n workflow, LangGraph, or a webhook of your
            own. It is tried before it is kept.
          </Way>
          <Way title="Only look around" action={<Command text={DEMO} />}>
            The demo agent tells the time, converts units and plays a little. Start again with it:
          </Way>
        </Ways>
        <section aria-labelledby="by-api" className="mt-6 max-w-3xl">
          <h2 id="by-api" className="text-large font-semibold">
            From a program
          </h2>
          <p className="mt-0.5 mb-2 text-ink-2">
            The same as the form does, with a key of <Code>darkspere keys add</Code>. The answer has the agent’s own key
            and its signing secret.
          </p>
          <Command text={apiCurl('POST', '/v1/agents', EXAMPLE)} />
        </section>
      </div>
    </div>
  );
}
