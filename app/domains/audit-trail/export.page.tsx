import { useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Notice, PageHead } from '../../ui/display.tsx';
import { TextField } from '../../ui/field.tsx';
import { requestFile, saveFile } from '../../shell/api.ts';
import { StepUpDialog } from '../../shell/step-up.tsx';
import { dayText } from '../../ui/time.tsx';
import { toast } from '../../ui/overlay.tsx';

const DAY_MS = 86_400_000;
const COMMANDS = `unzip auditrax-proof-*.zip -d bundle
# with openssl alone; the log's key comes from somewhere you trust, never from the bundle
sh bundle/verify.sh "$LOG_KEY"
# or in a clone of the product
npm exec --no -- auditrax verify bundle --key "$LOG_KEY"`;

function day(shift: number): string {
  return new Date(Date.now() + shift * DAY_MS).toISOString().slice(0, 10);
}

function CheckABundle() {
  return (
    <section className="section" aria-labelledby="check">
      <h2 id="check">Check a bundle</h2>
      <p className="prose">
        Take the log’s key from outside: from a person, another machine, or a copy that you kept earlier. A check with
        the key inside the bundle proves only that the bundle agrees with itself, and the verifier says so.
      </p>
      <CodeBlock label="commands" code={COMMANDS} />
    </section>
  );
}

/** A bundle for outsiders: entries of a period with everything needed to check them without us. */
export function ExportPage() {
  const [from, setFrom] = useState(day(-30));
  const [to, setTo] = useState(day(0));
  const [error, setError] = useState<string | undefined>();
  const [asked, setAsked] = useState(false);
  const [saved, setSaved] = useState<string | null>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wrong = !from || !to || to < from;
    setError(wrong ? 'Give a first and a last day, in this order.' : undefined);
    if (!wrong) setAsked(true);
  };
  const body = { from, to };
  return (
    <>
      <PageHead title="Export bundle">
        Entries of a period with their proofs, a signed checkpoint and a verifier, in one file. Whoever gets it can
        check it without this server, and without us.
      </PageHead>
      <form className="form" onSubmit={submit} noValidate>
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
        <div className="form__actions">
          <Button look="primary" type="submit" icon="download">
            Export…
          </Button>
        </div>
      </form>
      <div aria-live="polite">
        {saved && (
          <Notice kind="proven" title={`Saved as ${saved}`}>
            <p>The export itself stands in the audit trail, with the hash of your approval.</p>
          </Notice>
        )}
      </div>
      <CheckABundle />
      <StepUpDialog
        open={asked}
        onClose={() => setAsked(false)}
        operation="audit-trail.export"
        input={body}
        title="Export the audit trail"
        confirm="Approve with passkey"
        effects={
          <p>
            A file with every entry of your organisation from {from && dayText(from)} to {to && dayText(to)} leaves the
            system. Confidential values go along as digests only.
          </p>
        }
        commit={(stepUp) => requestFile('/api/audit-trail/export', { body, stepUp })}
        onDone={(file) => {
          setAsked(false);
          saveFile(file);
          setSaved(file.name);
          toast('Bundle exported', file.name);
        }}
      />
    </>
  );
}
