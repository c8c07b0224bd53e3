// From when to when, where the usual times do not fit: on the clock of whoever looks.
import { utc } from '../../parts/time.tsx';

export const OWN_TIMES = 'own';
const USUAL: readonly { value: string; label: string }[] = [
  { value: '', label: 'Any time' },
  { value: '1h', label: 'Last hour' },
  { value: '24h', label: 'Last 24 hours' },
  { value: '7d', label: 'Last 7 days' },
];

/** A link may bring any time. */
export function timesOf(since: string | undefined): typeof USUAL {
  const own = { value: OWN_TIMES, label: 'From … to …' };
  if (since === undefined || USUAL.some(({ value }) => value === since)) return [...USUAL, own];
  const isMoment = !Number.isNaN(Date.parse(since));
  return [...USUAL, { value: since, label: isMoment ? `Since ${utc(since)}` : `Last ${since}` }, own];
}

type Times = { since?: string; until?: string };

export function OwnTimes({
  since,
  until,
  onChange,
}: {
  since: string | undefined;
  until: string | undefined;
  onChange: (times: Times) => void;
}) {
  return (
    <div className="grid grid-cols-[auto_1fr] items-center gap-x-2 gap-y-1">
      <Moment label="From" value={since} onChange={(moment) => onChange({ since: moment })} />
      <Moment label="To" value={until} onChange={(moment) => onChange({ until: moment })} />
    </div>
  );
}

function Moment({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string | undefined;
  onChange: (moment: string) => void;
}) {
  return (
    <label className="contents">
      <span className="text-small text-ink-2">{label}</span>
      <input
        type="datetime-local"
        value={localOf(value)}
        onChange={(event) => onChange(momentOf(event.target.value))}
        className="figures h-[30px] w-full min-w-0 rounded-md border border-line bg-page px-2 hover:border-line-strong pointer-coarse:h-9"
      />
    </label>
  );
}

const MINUTE_MS = 60_000;

/** As the field has it, to the minute; empty for what is no moment, like the last hour. */
function localOf(moment: string | undefined): string {
  const ms = moment === undefined ? Number.NaN : Date.parse(moment);
  if (Number.isNaN(ms)) return '';
  return new Date(ms - new Date(ms).getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16);
}

function momentOf(local: string): string {
  const ms = local === '' ? Number.NaN : Date.parse(local);
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString();
}
