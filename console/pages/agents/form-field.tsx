// One field of the form: what it is called, what it means, what is wrong with it.
import { CircleAlert } from 'lucide-react';
import { useId } from 'react';
import type { Field } from './protocols.ts';

const INPUT = 'w-full rounded-md border bg-page px-2.5 hover:border-line-strong';

export function FormField({
  field: { name, label, help, kind, isRequired, placeholder },
  value,
  onChange,
  error,
}: {
  field: Field;
  value: string;
  onChange: (value: string) => void;
  error: string | null;
}) {
  const id = useId();
  const isLong = kind === 'json' || kind === 'words';
  const shared = {
    id,
    name,
    value,
    placeholder,
    required: isRequired,
    'aria-invalid': error !== null,
    'aria-describedby': `${id}-help ${error === null ? '' : `${id}-error`}`.trim(),
    spellCheck: kind === 'words',
    onChange: (event: { currentTarget: { value: string } }) => onChange(event.currentTarget.value),
    className: `${INPUT} ${error === null ? 'border-line-strong' : 'border-bad'} ${kind === 'json' ? 'font-mono text-small' : ''} ${isLong ? 'resize-y py-1.5' : 'h-8'}`,
  };
  return (
    <div>
      <label htmlFor={id} className="mb-1 block font-medium">
        {label}
        {!isRequired && <span className="font-normal text-ink-3"> (optional)</span>}
      </label>
      {isLong ? (
        <textarea {...shared} rows={3} />
      ) : (
        <input
          {...shared}
          type={kind === 'secret' ? 'password' : 'text'}
          inputMode={kind === 'number' ? 'numeric' : name === 'endpoint_url' ? 'url' : undefined}
          autoComplete={kind === 'secret' ? 'new-password' : 'off'}
          autoCapitalize="off"
        />
      )}
      {error !== null && (
        <p id={`${id}-error`} role="alert" className="mt-1 flex gap-1.5 text-bad">
          <CircleAlert size={14} className="mt-[3px] shrink-0" aria-hidden />
          <span className="min-w-0 wrap-anywhere">{error}</span>
        </p>
      )}
      <p id={`${id}-help`} className="mt-1 text-small text-ink-3">
        {help}
      </p>
    </div>
  );
}
