import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Notice, PageHead } from '../../ui/display.tsx';
import { ChoiceField, TextField } from '../../ui/field.tsx';
import { toast } from '../../ui/overlay.tsx';
import { bytesText, Progress } from '../../ui/progress.tsx';
import { dayText } from '../../ui/time.tsx';
import { openFile, request, saveFile, type Opened } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ExportPreview } from '../../shell/wire.ts';

const route = getRouteApi('/inside/export');
const DAY_MS = 86_400_000;

const formats = [
  {
    value: 'bundle',
    label: 'Bundle with proofs',
    help: 'A zip for outsiders: entries, proofs, signed checkpoint and a verifier. Whole days, no other filter.',
  },
  {
    value: 'csv',
    label: 'CSV',
    help: 'A line an entry for a spreadsheet. Texts that it would run as formulas are defused.',
  },
  { value: 'ocsf', label: 'OCSF, JSON lines', help: 'An event a line in the Open Cybersecurity Schema, for a SIEM.' },
] as const;
type Format = (typeof formats)[number]['value'];

const COMMANDS: Readonly<Record<Format, string>> = {
  bundle: `unzip auditrax-proof-*.zip -d bundle
# with openssl alone; the log's key comes from somewhere you trust, never from the bundle
sh bundle/verify.sh "$LOG_KEY"
# or in a clone of the product
npm exec --no -- auditrax verify bundle --key "$LOG_KEY"`,
  csv: `# the hash of each entry's bytes is in the last column; a bundle of the same days proves them
cut -d, -f1,2,3 auditrax-trail-*.csv | head`,
  ocsf: `# raw_data is the entry byte for byte; its RFC 6962 leaf hash stands in attestation_list
head -1 auditrax-trail-*.ocsf.jsonl | jq .
# recompute the hash of the first entry
{ printf '\\0'; head -1 auditrax-trail-*.ocsf.jsonl | jq -j .raw_data; } | sha256sum`,
};

function day(shift: number): string {
  return new Date(Date.now() + shift * DAY_MS).toISOString().slice(0, 10);
}

function isFormat(value: string | undefined): value is Format {
  return formats.some((format) => format.value === value);
}

function Laptop({ format }: { format: Format }) {
  return (
    <section className="section" aria-labelledby="check">
      <h2 id="check">{format === 'bundle' ? 'Check a bundle' : 'What to run on the laptop'}</h2>
      {format === 'bundle' && (
        <p className="prose">
          Take the log’s key from outside: from a person, another machine, or a copy that you kept earlier. A check with
          the key inside the bundle proves only that the bundle agrees with itself, and the verifier says so.
        </p>
      )}
      <CodeBlock label="commands" code={COMMANDS[format]} />
    </section>
  );
}

/** How much it will be, before anybody is asked for a passkey. */
function Forecast({ preview, format }: { preview: ExportPreview; format: Format }) {
  const number = (value: number) => value.toLocaleString('en-GB');
  if (preview.entries === 0 || preview.first === null || preview.last === null)
    return (
      <Notice kind="stale" title="Nothing to export">
        <p>No sealed entry matches. Choose other days, or fewer filters.</p>
      </Notice>
    );
  const span = preview.last - preview.first + 1;
  const [count, most] = format === 'bundle' ? [span, preview.bundleMax] : [preview.entries, preview.entriesMax];
  if (count > most || (format !== 'bundle' && !preview.complete))
    return (
      <Notice kind="stale" title="Too many for one file">
        <p>
          {preview.complete ? number(count) : `More than ${number(preview.entriesMax)}`} entries; one file holds{' '}
          {number(most)}. Choose fewer days.
        </p>
      </Notice>
    );
  return (
    <p className="muted">
      {number(count)} {count === 1 ? 'entry' : 'entries'}, positions {preview.first} to {preview.last}; at most{' '}
      {number(most)} in one file.
    </p>
  );
}

function useForecast(filter: Readonly<Record<string, string | undefined>>) {
  return useQuery({
    queryKey: ['export-preview', filter],
    queryFn: ({ signal }) => request<ExportPreview>('/api/audit-trail/preview', { query: filter, signal }),
    staleTime: 30_000,
    retry: false,
  });
}

/** What the list was narrowed by, carried over; a bundle has days only. */
function Carried({ filters }: { filters: Readonly<Record<string, string>> }) {
  const words = Object.entries(filters);
  if (words.length === 0) return null;
  return (
    <p className="muted">
      Only where{' '}
      {words.map(([name, value]) => (
        <span key={name} className="tag">
          {name} {value}
        </span>
      ))}
    </p>
  );
}

interface Asked {
  readonly operation: string;
  readonly path: string;
  readonly body: Readonly<Record<string, string | number>>;
  readonly days: { readonly from: string; readonly to: string };
}

function askedOf(format: Format, filter: Record<string, string> & Asked['days'], upTo: number): Asked {
  const { from, to } = filter;
  const days = { from, to };
  if (format === 'bundle')
    return { operation: 'audit-trail.export', path: '/api/audit-trail/export', body: days, days };
  return {
    operation: 'audit-trail.export-lines',
    path: '/api/audit-trail/export-lines',
    body: { ...filter, format, upTo },
    days,
  };
}

interface Received {
  readonly done: number;
  readonly total: number | null;
}

type Arrived =
  | { readonly state: 'running'; readonly bytes: Received }
  | { readonly state: 'saved'; readonly bytes: Received; readonly name: string }
  | { readonly state: 'stopped' };

/** How far the file is; the export was recorded before its first byte left, whatever becomes of it here. */
function Arrival({ arrived, onStop }: { arrived: Arrived | null; onStop: () => void }) {
  return (
    <div aria-live="polite">
      {arrived?.state === 'running' && (
        <div className="stack stack--tight">
          <Progress
            label="Receiving"
            value={arrived.bytes.total === null ? null : arrived.bytes.done / arrived.bytes.total}
            detail={bytesText(arrived.bytes.done)}
          />
          <div className="form__actions">
            <Button icon="cross" onClick={onStop}>
              Stop the download
            </Button>
          </div>
        </div>
      )}
      {arrived?.state === 'saved' && (
        <Notice kind="proven" title={`Saved as ${arrived.name}`}>
          <p>
            {bytesText(arrived.bytes.done)}. The export itself stands in the audit trail, with the hash of your
            approval.
          </p>
        </Notice>
      )}
      {arrived?.state === 'stopped' && (
        <Notice kind="stale" title="Stopped">
          <p>Nothing was saved. That the export was asked for stands in the audit trail all the same.</p>
        </Notice>
      )}
    </div>
  );
}

/** Receives a file that was approved; whatever ends it is said. */
function useDownload() {
  const [arrived, setArrived] = useState<Arrived | null>(null);
  const [error, setError] = useState<unknown>(null);
  const ending = useRef<AbortController | null>(null);
  useEffect(() => () => ending.current?.abort(new Error('left')), []);
  const begin = () => {
    ending.current = new AbortController();
    setArrived(null);
    setError(null);
    return ending.current.signal;
  };
  const receive = async (file: Opened) => {
    const signal = ending.current?.signal;
    let bytes: Received = { done: 0, total: null };
    setArrived({ state: 'running', bytes });
    try {
      const blob = await file.read((done, total) => {
        bytes = { done, total };
        setArrived({ state: 'running', bytes });
      });
      saveFile({ blob, name: file.name });
      setArrived({ state: 'saved', bytes, name: file.name });
      toast('Exported', file.name);
    } catch (failure) {
      setArrived(signal?.aborted === true ? { state: 'stopped' } : null);
      setError(signal?.aborted === true ? null : failure);
    }
  };
  return { arrived, error, begin, receive, stop: () => ending.current?.abort(new Error('stopped')) };
}

/** Asks for the passkey, then receives the file. */
function Approval({ asked, onClose }: { asked: Asked | null; onClose: () => void }) {
  const { arrived, error, begin, receive, stop } = useDownload();
  return (
    <>
      <Arrival arrived={arrived} onStop={stop} />
      <Failure error={error} />
      {asked && (
        <StepUpDialog
          open
          onClose={onClose}
          operation={asked.operation}
          input={asked.body}
          title="Export the audit trail"
          confirm="Approve with passkey"
          effects={
            <p>
              A file with entries of your organisation from {dayText(asked.days.from)} to {dayText(asked.days.to)}{' '}
              leaves the system. Confidential values go along as digests only.
            </p>
          }
          commit={(stepUp) => openFile(asked.path, { body: asked.body, stepUp, signal: begin() })}
          onDone={(file) => {
            onClose();
            void receive(file);
          }}
        />
      )}
    </>
  );
}

/** Files for outsiders: a bundle that proves itself, or lines for a spreadsheet or a SIEM. */
export function ExportPage() {
  const { format: given, from: first, to: last, ...carried } = route.useSearch();
  const [format, setFormat] = useState<Format>(isFormat(given) ? given : 'bundle');
  const [from, setFrom] = useState(first?.slice(0, 10) ?? day(-30));
  const [to, setTo] = useState(last?.slice(0, 10) ?? day(0));
  const [error, setError] = useState<string | undefined>();
  const [asked, setAsked] = useState<Asked | null>(null);
  const filter = { ...(format === 'bundle' ? {} : carried), from, to };
  const preview = useForecast(filter);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wrong = !from || !to || to < from;
    setError(wrong ? 'Give a first and a last day, in this order.' : undefined);
    if (!wrong) setAsked(askedOf(format, filter, preview.data?.upTo ?? 0));
  };
  return (
    <>
      <PageHead title="Export">
        A bundle holds entries with their proofs, a signed checkpoint and a verifier: whoever gets it can check it
        without this server, and without us. Lines are for a spreadsheet or a SIEM.
      </PageHead>
      <form className="form" onSubmit={submit} noValidate>
        <ChoiceField label="What" name="format" value={format} choices={formats} onChange={setFormat} />
        <div className="form__row">
          <TextField
            label="From"
            type="date"
            value={from}
            onChange={(event) => setFrom(event.target.value)}
            error={error}
          />
          <TextField label="to" type="date" value={to} onChange={(event) => setTo(event.target.value)} />
        </div>
        {format !== 'bundle' && <Carried filters={carried} />}
        <div aria-live="polite">{preview.data && <Forecast preview={preview.data} format={format} />}</div>
        <Failure error={preview.error} />
        <div className="form__actions">
          <Button look="primary" type="submit" icon="download">
            Export…
          </Button>
        </div>
      </form>
      <Approval asked={asked} onClose={() => setAsked(null)} />
      <Laptop format={format} />
    </>
  );
}
