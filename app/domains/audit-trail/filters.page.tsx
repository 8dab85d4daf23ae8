import { useState, type FormEvent } from 'react';
import { Button, IconButton } from '../../ui/button.tsx';
import { FilterSelect, SearchField, TextField } from '../../ui/field.tsx';
import { Dialog } from '../../ui/overlay.tsx';
import { useMembers } from '../../shell/names.ts';

/** What the address of the page says; every filter is in it, so a link or a bookmark is a saved view. */
export interface Filters {
  readonly type?: string;
  readonly person?: string;
  readonly outcome?: string;
  readonly kind?: string;
  readonly object?: string;
  readonly session?: string;
  readonly ai?: string;
  /** A time that moves on: the last hour, day, … */
  readonly period?: string;
  readonly from?: string;
  readonly to?: string;
  readonly text?: string;
  readonly entry?: string;
}

const HOUR_MS = 3_600_000;
const periods = {
  '1h': ['Last hour', HOUR_MS],
  '24h': ['Last 24 hours', 24 * HOUR_MS],
  '7d': ['Last 7 days', 7 * 24 * HOUR_MS],
  '30d': ['Last 30 days', 30 * 24 * HOUR_MS],
  '90d': ['Last 90 days', 90 * 24 * HOUR_MS],
} as const satisfies Readonly<Record<string, readonly [string, number]>>;
type Period = keyof typeof periods;

function isPeriod(value: string | undefined): value is Period {
  return value !== undefined && Object.hasOwn(periods, value);
}

/** The filters as the server takes them. */
export function queryOf(filters: Filters, now: number): Record<string, string | undefined> {
  const { entry: _entry, period, ...rest } = filters;
  if (!isPeriod(period)) return rest;
  return { ...rest, from: new Date(now - periods[period][1]).toISOString(), to: undefined };
}

/** Whether every entry is shown, so that two neighbours must follow each other in the log. */
export function isWhole({ entry: _entry, ...filters }: Filters): boolean {
  return Object.values(filters).every((value) => !value);
}

interface Changing {
  filters: Filters;
  onChange: (next: Filters) => void;
}

/** A text that counts once Enter is pressed or it is emptied. */
function TypedFilter(props: {
  label: string;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
  shortcut?: string;
}) {
  const [typed, setTyped] = useState(props.value);
  return (
    <form
      className="grow"
      onSubmit={(event) => {
        event.preventDefault();
        props.onChange(typed.trim());
      }}
    >
      <SearchField
        label={props.label}
        placeholder={props.placeholder}
        value={typed}
        maxLength={100}
        onChange={(event) => {
          setTyped(event.target.value);
          if (event.target.value === '') props.onChange('');
        }}
        {...(props.shortcut && { shortcut: props.shortcut })}
      />
    </form>
  );
}

function DaysDialog({ open, onClose, filters, onChange }: Changing & { open: boolean; onClose: () => void }) {
  const [from, setFrom] = useState(filters.from?.slice(0, 10) ?? '');
  const [to, setTo] = useState(filters.to?.slice(0, 10) ?? '');
  const [error, setError] = useState<string | undefined>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wrong = from !== '' && to !== '' && to < from;
    setError(wrong ? 'The first day must not be after the last.' : undefined);
    if (wrong) return;
    onChange({ ...filters, period: '', from, to });
    onClose();
  };
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Days to show"
      description="Whole days, UTC, both included."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" form="days-to-show">
            Show these days
          </Button>
        </>
      }
    >
      <form id="days-to-show" className="form" onSubmit={submit} noValidate>
        <div className="form__row">
          <TextField
            label="First day"
            type="date"
            value={from}
            error={error}
            onChange={(event) => setFrom(event.target.value)}
          />
          <TextField label="Last day" type="date" value={to} onChange={(event) => setTo(event.target.value)} />
        </div>
      </form>
    </Dialog>
  );
}

function PeriodFilter({ filters, onChange }: Changing) {
  const [choosing, setChoosing] = useState(false);
  const days = Boolean(filters.from || filters.to);
  const value = isPeriod(filters.period) ? filters.period : days ? 'days' : 'all';
  const daysLabel = days ? `${filters.from?.slice(0, 10) ?? '…'} to ${filters.to?.slice(0, 10) ?? '…'}` : 'Days…';
  return (
    <>
      <FilterSelect
        label="Time"
        value={value}
        onChange={(period) => {
          if (period === 'days' || period === 'change') setChoosing(true);
          else onChange({ ...filters, from: '', to: '', period: period === 'all' ? '' : period });
        }}
        choices={[
          { value: 'all', label: 'Any time' },
          ...Object.entries(periods).map(([key, [label]]) => ({ value: key as Period, label })),
          { value: 'days', label: daysLabel },
          ...(days ? [{ value: 'change' as const, label: 'Other days…' }] : []),
        ]}
      />
      {choosing && <DaysDialog open onClose={() => setChoosing(false)} filters={filters} onChange={onChange} />}
    </>
  );
}

/** Filters that come from an entry, not from a field: shown as what they are, taken away by their cross. */
function Narrowed({ filters, onChange }: Changing) {
  const narrowed = [
    filters.kind && { name: 'kind', words: `Kind ${filters.kind}`, without: { kind: '' } },
    filters.object && { name: 'object', words: `Object ${filters.object.slice(0, 13)}…`, without: { object: '' } },
    filters.session && { name: 'session', words: `Session ${filters.session.slice(0, 13)}…`, without: { session: '' } },
  ].filter((one) => one !== undefined && one !== '');
  return narrowed.map((one) => (
    <span key={one.name} className="tag tag--accent">
      {one.words}
      <IconButton
        small
        icon="cross"
        label={`Not only this ${one.name}`}
        onClick={() => onChange({ ...filters, ...one.without })}
      />
    </span>
  ));
}

/** Everything the list is narrowed by. */
export function FilterBar({ filters, onChange }: Changing) {
  const members = useMembers();
  return (
    <>
      <TypedFilter
        key={`text ${filters.text ?? ''}`}
        label="Words in an entry"
        placeholder="Words, names of files, ids"
        shortcut="/"
        value={filters.text ?? ''}
        onChange={(text) => onChange({ ...filters, text })}
      />
      <TypedFilter
        key={`type ${filters.type ?? ''}`}
        label="Type of entry"
        placeholder="Type, such as engagement."
        value={filters.type ?? ''}
        onChange={(type) => onChange({ ...filters, type })}
      />
      <FilterSelect
        label="Person"
        value={filters.person ?? 'all'}
        onChange={(person) => onChange({ ...filters, person: person === 'all' ? '' : person })}
        choices={[
          { value: 'all', label: 'Anybody' },
          ...(members.data?.members ?? []).map((member) => ({ value: member.id, label: member.label })),
        ]}
      />
      <FilterSelect
        label="Outcome"
        value={filters.outcome ?? 'all'}
        onChange={(outcome) => onChange({ ...filters, outcome: outcome === 'all' ? '' : outcome })}
        choices={[
          { value: 'all', label: 'Any outcome' },
          { value: 'allowed', label: 'Allowed' },
          { value: 'denied', label: 'Denied' },
          { value: 'failed', label: 'Failed' },
        ]}
      />
      <FilterSelect
        label="Done by people or with AI"
        value={filters.ai ?? 'all'}
        onChange={(ai) => onChange({ ...filters, ai: ai === 'all' ? '' : ai })}
        choices={[
          { value: 'all', label: 'With and without AI' },
          { value: 'only', label: 'AI only' },
        ]}
      />
      <PeriodFilter filters={filters} onChange={onChange} />
      <Narrowed filters={filters} onChange={onChange} />
      {!isWhole(filters) && (
        <Button look="quiet" small icon="cross" onClick={() => onChange({})}>
          Clear
        </Button>
      )}
    </>
  );
}
