import { Link } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { Button, buttonClass } from '../../ui/button.tsx';
import { Checks, Notice } from '../../ui/display.tsx';
import { TextField } from '../../ui/field.tsx';
import { Dialog } from '../../ui/overlay.tsx';
import { Progress } from '../../ui/progress.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { Entry, RangeLeaves, RangeProof } from '../../shell/wire.ts';
import type { RangeVerdict } from './browser-range.ts';

interface Range {
  readonly from: number;
  /** Index after the last. */
  readonly to: number;
}

interface Run {
  readonly done: number;
  readonly verdict: RangeVerdict | null;
  readonly error: unknown;
}

/** The verifier is loaded when somebody wants it; it takes every leaf through this browser's own crypto. */
async function verifyRange(
  range: Range,
  { key, signal, onProgress }: { key: string; signal: AbortSignal; onProgress: (done: number) => void },
): Promise<RangeVerdict> {
  const { verifyRangeInBrowser } = await import('./browser-range.ts');
  const proof = await request<RangeProof>('/api/audit-trail/range-proof', { query: { ...range }, signal });
  return verifyRangeInBrowser({
    ...range,
    checkpoint: proof.checkpoint,
    vkey: key || proof.vkey,
    changes: proof.changes,
    outside: proof.outside,
    first: proof.first,
    last: proof.last,
    leaves: async (part) =>
      (await request<RangeLeaves>('/api/audit-trail/leaves', { query: { ...part }, signal })).leaves,
    onProgress,
    signal,
  });
}

function Verdict({ verdict, count, ownKey }: { verdict: RangeVerdict; count: number; ownKey: boolean }) {
  const perSecond = Math.round((count / Math.max(1, verdict.hashing_ms)) * 1000);
  return (
    <div className="stack stack--tight">
      <p className={`verdict verdict--${verdict.ok ? 'ok' : 'failed'}`}>
        {verdict.ok ? `All ${count} entries verified on this machine.` : 'Not verified. Do not rely on these entries.'}
      </p>
      <p className="muted">
        {ownKey
          ? 'Checked with the key that you gave.'
          : 'Checked with the key that this server gave: give one from elsewhere to know that it is the log’s.'}{' '}
        {verdict.ok && `${perSecond.toLocaleString('en-GB')} entries a second.`}
      </p>
      <Checks steps={verdict.steps} />
    </div>
  );
}

function RangeDialog({ range, onClose }: { range: Range; onClose: () => void }) {
  const [key, setKey] = useState('');
  const [run, setRun] = useState<Run | null>(null);
  const ending = useRef<AbortController | null>(null);
  const count = range.to - range.from;
  const busy = run !== null && run.verdict === null && run.error === null;
  const start = async () => {
    const control = new AbortController();
    ending.current = control;
    setRun({ done: 0, verdict: null, error: null });
    const asked = { key: key.trim(), signal: control.signal };
    try {
      const verdict = await verifyRange(range, {
        ...asked,
        onProgress: (done) => setRun({ done, verdict: null, error: null }),
      });
      setRun({ done: count, verdict, error: null });
    } catch (error) {
      setRun(control.signal.aborted ? null : { done: 0, verdict: null, error });
    }
  };
  const stop = () => ending.current?.abort(new Error('cancelled'));
  const close = () => {
    stop();
    onClose();
  };
  return (
    <Dialog
      open
      wide
      onClose={close}
      title={`Verify entries ${range.from} to ${range.to - 1}`}
      description="Every entry between the two is fetched and hashed in this browser, also those that a filter hides. The result must be the root that the log has signed."
      foot={
        <>
          <Button onClick={close}>Close</Button>
          {busy ? (
            <Button icon="cross" onClick={stop}>
              Cancel
            </Button>
          ) : (
            <Button look="primary" icon="shield" onClick={() => void start()}>
              Verify in your browser
            </Button>
          )}
        </>
      }
    >
      <TextField
        label="Verifier key"
        optional
        help="From a colleague, another machine, or a copy that you kept earlier. Empty: the one that this server gives."
        value={key}
        onChange={(event) => setKey(event.target.value)}
        spellCheck={false}
        autoComplete="off"
      />
      <div aria-live="polite">
        {busy && <Progress label="Hashing" value={run.done / count} detail={`${run.done} of ${count}`} />}
        {run?.verdict && <Verdict verdict={run.verdict} count={count} ownKey={key.trim() !== ''} />}
      </div>
      <Failure error={run?.error} />
    </Dialog>
  );
}

/** What can be done with the rows that were selected: they name the two ends of a range of the log. */
export function RangeBar({ entries, onClear }: { entries: readonly Entry[]; onClear: () => void }) {
  const [open, setOpen] = useState(false);
  if (entries.length === 0) return null;
  const sealed = entries.filter((entry) => entry.position !== null);
  const generations = new Set(sealed.map((entry) => entry.generation));
  if (sealed.length === 0 || generations.size > 1)
    return (
      <Notice kind="stale" title={sealed.length === 0 ? 'Not sealed yet' : 'Two generations'}>
        <p>
          {sealed.length === 0
            ? 'What you selected has no place in the log yet; in a few seconds it has.'
            : 'A range lies within one generation of the log. Select rows on one side of the break.'}
        </p>
      </Notice>
    );
  const positions = sealed.map((entry) => entry.position!);
  const range = { from: Math.min(...positions), to: Math.max(...positions) + 1 };
  const times = sealed.map((entry) => Date.parse(entry.at));
  const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10);
  const days = { from: dayOf(Math.min(...times)), to: dayOf(Math.max(...times)) };
  return (
    <section className="row" aria-label="Selected range">
      <output>
        {range.to - range.from === 1 ? `Entry ${range.from}` : `Entries ${range.from} to ${range.to - 1}`}
      </output>
      <Button small icon="shield" onClick={() => setOpen(true)}>
        Verify the range…
      </Button>
      <Link to="/export" search={days} className={buttonClass({ small: true })}>
        Bundle of these days…
      </Link>
      <Button small look="quiet" onClick={onClear}>
        Select none
      </Button>
      {open && <RangeDialog range={range} onClose={() => setOpen(false)} />}
    </section>
  );
}
