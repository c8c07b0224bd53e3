// A new agent: what it speaks, where it is, and a try before it is kept. Its key and secret are shown at the end, once.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { ArrowLeft, CircleAlert, TriangleAlert } from 'lucide-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { Registered } from '../../../src/http/contract.ts';
import { ApiError, change } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { CopyButton } from '../../parts/copy-button.tsx';
import { useInstance } from '../../parts/shell.tsx';
import { apiCurl } from './curl.ts';
import { FormField } from './form-field.tsx';
import { ProbeStrip } from './probe-strip.tsx';
import { bodyOf, type Field, type FieldError, PRESETS, type Preset, type Values } from './protocols.ts';
import { RegisteredView } from './registered.tsx';

type Probe = 'full' | 'skip';

const NAME: Field = {
  name: 'agent_name',
  label: 'Name',
  help: 'As operators see it, and people who are offered a choice.',
  kind: 'text',
  isRequired: true,
  placeholder: 'concierge',
};
const MORE: readonly Field[] = [
  {
    name: 'capabilities',
    label: 'Capabilities',
    help: 'With commas between them. A number may ask for some; an agent without them is not asked there.',
    kind: 'text',
    placeholder: 'booking, german',
  },
  {
    name: 'max_concurrent_sessions',
    label: 'Calls at once',
    help: 'The most that it takes, over all workers. 100 where nothing is said.',
    kind: 'number',
    placeholder: '100',
  },
];

export function RegisterPage() {
  const client = useQueryClient();
  const instance = useInstance();
  const form = useRef<HTMLFormElement>(null);
  const [preset, setPreset] = useState<Preset>(PRESETS[0]!);
  const [typed, setTyped] = useState<Values>({});
  const [error, setError] = useState<FieldError | null>(null);
  const types = [...new Set(instance.data?.numbers.map(({ agent_type }) => agent_type) ?? [])];
  const values: Values = { agent_type: types[0] ?? 'chat', ...typed };
  const register = useMutation({
    mutationFn: ({ body, probe }: { body: Record<string, unknown>; probe: Probe }) =>
      change<Registered>('POST', `/v1/agents?probe=${probe}`, body),
    onSuccess: () => void client.invalidateQueries({ queryKey: ['agents'] }),
    onError: (thrown) => setError(fieldErrorOf(thrown, preset)),
  });
  useFocusOn(form, error);

  const submit = (probe: Probe) => {
    const built = bodyOf(preset, values);
    setError('error' in built ? built.error : null);
    if ('body' in built) register.mutate({ body: built.body, probe });
  };
  const set = (name: string) => (value: string) => {
    setTyped((known) => ({ ...known, [name]: value }));
    if (error?.param === name) setError(null);
  };
  const field = (one: Field) => (
    <FormField
      key={one.name}
      field={one}
      value={values[one.name] ?? ''}
      onChange={set(one.name)}
      error={error?.param === one.name ? error.message : null}
    />
  );

  if (register.data) return <RegisteredView registered={register.data} preset={preset} />;
  const failed = register.error instanceof ApiError ? register.error : null;
  const built = bodyOf(preset, values);
  return (
    <div className="scroll-y @container h-full">
      <form
        ref={form}
        noValidate
        className="mx-auto max-w-3xl px-4 pt-5 pb-10 @xl:px-6 @xl:pt-7"
        onSubmit={(event) => {
          event.preventDefault();
          if (!register.isPending) submit('full');
        }}
      >
        <Link href="/agents" className="inline-flex items-center gap-1 text-ink-2 hover:text-ink">
          <ArrowLeft size={14} aria-hidden /> Agents
        </Link>
        <h1 className="mt-2 text-figure font-semibold tracking-tight">Register an agent</h1>
        <p className="mt-0.5 text-large text-ink-2">
          It is tried stage by stage first. Once it is registered, texts are routed to it.
        </p>

        <Presets chosen={preset} choose={setPreset} />
        <div className="mt-6 flex flex-col gap-5">
          {field(NAME)}
          {field({
            name: 'endpoint_url',
            label: 'Address',
            help: preset.address.help,
            kind: 'text',
            isRequired: true,
            placeholder: preset.address.placeholder,
          })}
          {preset.fields.map(field)}
          {field({ name: 'agent_type', label: 'Type', help: typeHelp(types), kind: 'text', isRequired: true })}
          <details className="group" open={MORE.some(({ name }) => name === error?.param) || undefined}>
            <summary className="w-fit text-ink-2 hover:text-ink">More settings</summary>
            <div className="mt-3 flex flex-col gap-5">{MORE.map(field)}</div>
          </details>
        </div>

        <div className="@container mt-6" aria-live="polite">
          {register.isPending && register.variables.probe === 'full' && <ProbeStrip probe={null} />}
          {!register.isPending && failed?.probe && <ProbeStrip probe={failed.probe} />}
        </div>
        {error !== null && error.param === '' && <FormError>{error.message}</FormError>}
        {!register.isPending && failed?.code === 'probe_failed' && (
          <div className="mt-3 flex flex-wrap items-center gap-x-4 gap-y-2 rounded-md bg-warn-soft px-3 py-2 text-warn">
            <p className="flex min-w-56 flex-1 gap-2">
              <TriangleAlert size={15} className="mt-0.5 shrink-0" aria-hidden />
              You can register it all the same, when it is not up yet. Texts are routed to it at once, and go on to
              others when it fails.
            </p>
            <Button onClick={() => submit('skip')}>Register it untried</Button>
          </div>
        )}
        <div className="mt-5 flex flex-wrap items-center gap-2">
          <Button type="submit" look="primary" className="h-8" disabled={register.isPending}>
            {register.isPending ? 'Trying it …' : failed?.probe ? 'Try again' : 'Try it and register'}
          </Button>
          {'body' in built && (
            <CopyButton
              text={apiCurl('POST', '/v1/agents', masked(built.body))}
              label="Copy as curl, the key as a variable"
            >
              curl
            </CopyButton>
          )}
        </div>
      </form>
    </div>
  );
}

function Presets({ chosen, choose }: { chosen: Preset; choose: (preset: Preset) => void }) {
  return (
    <fieldset className="mt-5">
      <legend className="mb-1.5 font-medium">What it is</legend>
      <div className="grid grid-cols-2 gap-2 @md:grid-cols-4">
        {PRESETS.map((preset) => {
          const isChosen = preset.id === chosen.id;
          return (
            <label
              key={preset.id}
              className={`flex cursor-pointer items-center gap-2 rounded-md border px-2.5 py-1.5 has-focus-visible:outline-2 has-focus-visible:outline-focus ${isChosen ? 'border-ink bg-panel font-medium' : 'border-line text-ink-2 hover:border-line-strong'}`}
            >
              <input
                type="radio"
                name="preset"
                value={preset.id}
                checked={isChosen}
                onChange={() => choose(preset)}
                className="size-3 shrink-0 accent-current"
              />
              <span className="min-w-0 truncate">{preset.label}</span>
            </label>
          );
        })}
      </div>
      <p className="mt-2 text-ink-2">{chosen.what}</p>
    </fieldset>
  );
}

function FormError({ children }: { children: ReactNode }) {
  return (
    <p role="alert" className="mt-3 flex gap-2 rounded-md bg-bad-soft px-3 py-2 text-bad">
      <CircleAlert size={15} className="mt-0.5 shrink-0" aria-hidden />
      {children}
    </p>
  );
}

function typeHelp(types: readonly string[]): string {
  if (types.length === 0) return 'Numbers are answered by agents of their type.';
  return `Numbers are answered by agents of their type; yours ask for ${types.join(', ')}.`;
}

/** Where an error belongs: its own field, the one around it, or the form. What the strip says need not be said twice. */
function fieldErrorOf(thrown: unknown, preset: Preset): FieldError {
  if (!(thrown instanceof ApiError)) return { param: '', message: 'That did not work.' };
  const { param = '', message, probe } = thrown;
  const names = [NAME, ...preset.fields, ...MORE].map(({ name }) => name).concat('endpoint_url', 'agent_type');
  const name = names.find((one) => param === one || param.startsWith(`${one}.`)) ?? '';
  return { param: name, message: probe ? 'The agent did not pass the probe below.' : withoutName(message, param) };
}

/** At its field a message need not say which one it is about. */
function withoutName(message: string, param: string): string {
  const rest = param !== '' && message.startsWith(param) ? message.slice(param.length).replace(/^:?\s+/, '') : message;
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}

/** To the field that is wrong: who reads with a screen reader or a keyboard is where the message is. */
function useFocusOn(form: { readonly current: HTMLFormElement | null }, error: FieldError | null): void {
  useEffect(() => {
    if (error === null || error.param === '') return;
    form.current?.querySelector<HTMLElement>(`[name="${error.param}"]`)?.focus();
  }, [form, error]);
}

/** A command is copied to places where a key does not belong. */
function masked(body: Record<string, unknown>): Record<string, unknown> {
  const metadata = body.metadata as Record<string, unknown>;
  return 'api_key' in metadata ? { ...body, metadata: { ...metadata, api_key: 'YOUR KEY' } } : body;
}
