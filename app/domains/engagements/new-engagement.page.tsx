import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useRef, useState, type FormEvent } from 'react';
import { Button, buttonClass } from '../../ui/button.tsx';
import { Facts, Notice, PageHead } from '../../ui/display.tsx';
import { ChoiceField, TextField } from '../../ui/field.tsx';
import { FileDrop } from '../../ui/file-drop.tsx';
import { toast } from '../../ui/overlay.tsx';
import { request } from '../../shell/api.ts';
import { CardOverride, isCardRefusal } from '../../shell/card-override.tsx';
import { Failure } from '../../shell/failure.tsx';
import { ProblemError } from '../../shell/problem.ts';
import { readCatalogueFile, type CatalogueFault, type CatalogueFile } from './catalogue-file.page.tsx';

interface Draft {
  readonly title: string;
  readonly clientName: string;
  readonly periodStart: string;
  readonly periodEnd: string;
}

type Faults = Partial<Record<keyof Draft | 'catalogue', string>>;

const TITLE_CHARS_MAX = 200;
/** A catalogue of 12 MiB is read strictly, and a thousand criteria are sealed one by one. */
const CREATE_MS_MAX = 120_000;

function faultsOf(draft: Draft, source: 'sample' | 'file', file: CatalogueFile | null): Faults {
  const faults: Faults = {};
  if (draft.title.trim() === '') faults.title = 'Give it a title, as it should stand on the report.';
  if (draft.clientName.trim() === '') faults.clientName = 'Name the organisation that is audited.';
  if (!draft.periodStart) faults.periodStart = 'Choose the first day.';
  if (!draft.periodEnd) faults.periodEnd = 'Choose the last day.';
  if (draft.periodStart && draft.periodEnd && draft.periodEnd < draft.periodStart)
    faults.periodEnd = 'The last day is before the first.';
  if (source === 'file' && !file) faults.catalogue = 'Choose a catalogue file, or take the sample.';
  return faults;
}

function CatalogueChoice(props: {
  file: CatalogueFile | null;
  fault: CatalogueFault | null;
  error: string | undefined;
  onFiles: (files: readonly File[]) => void;
}) {
  return (
    <div className="stack stack--tight">
      <FileDrop
        label={props.file ? 'Choose another file' : 'Drop a catalogue, or choose a file'}
        help="OSCAL catalogue in JSON, up to 12 MiB"
        accept="application/json,.json"
        onFiles={props.onFiles}
      />
      <div aria-live="polite">
        {props.fault && (
          <Notice kind="failing" title="This file cannot be used">
            <p>
              {props.fault.path && (
                <>
                  <code>{props.fault.path}</code>{' '}
                </>
              )}
              {props.fault.message}.
            </p>
            <p className="muted">Nothing was sent. Mend the file and drop it again.</p>
          </Notice>
        )}
        {props.file && (
          <Notice kind="proven" title={props.file.title}>
            <Facts
              entries={[
                ['File', props.file.fileName],
                ['Version', props.file.version || 'not given'],
                ['Holds', `${props.file.controls} controls in ${props.file.groups} groups`],
              ]}
            />
          </Notice>
        )}
      </div>
      {props.error && !props.fault && (
        <p className="field__error" role="alert">
          {props.error}
        </p>
      )}
    </div>
  );
}

/** The JSON path of the first fault that the service found in a catalogue, shown as what it is. */
function OscalFault({ error }: { error: unknown }) {
  if (!(error instanceof ProblemError) || !error.problem.code.startsWith('oscal')) return null;
  return (
    <Notice kind="failing" title="The catalogue is not valid OSCAL">
      <p>{error.problem.detail ?? error.problem.title}</p>
      {error.problem.field && (
        <p>
          First fault at <code>{error.problem.field}</code>
        </p>
      )}
      <p className="muted">
        Nothing was stored. Mend the file at this place and drop it again.
        {error.problem.requestId && (
          <>
            {' '}
            Request <code>{error.problem.requestId}</code>
          </>
        )}
      </p>
    </Notice>
  );
}

const sources = [
  {
    value: 'sample',
    label: 'The sample: Auditrax’s own security claims',
    help: 'Comes with the product. Audit the page that you can read at /security.',
  },
  {
    value: 'file',
    label: 'A catalogue of your own, in OSCAL JSON',
    help: 'For instance a resolved NIST SP 800-53 baseline.',
  },
] as const;

function useCreate() {
  const navigate = useNavigate();
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ draft, catalogue, notACard }: { draft: Draft; catalogue: unknown; notACard: readonly string[] }) =>
      request<{ id: string; criteria: number }>('/api/engagements', {
        body: { ...draft, catalogue, ...(notACard.length > 0 && { notACard }) },
        answerMsMax: CREATE_MS_MAX,
      }),
    onSuccess: async (created) => {
      toast('Engagement created', `${created.criteria} criteria were taken over from the catalogue.`);
      await client.invalidateQueries({ queryKey: ['engagements'] });
      await navigate({ to: '/engagements/$engagementId', params: { engagementId: created.id } });
    },
  });
}

function DraftFields({ draft, faults, onChange }: { draft: Draft; faults: Faults; onChange: (next: Draft) => void }) {
  const field = (name: keyof Draft) => ({
    name,
    value: draft[name],
    error: faults[name],
    onChange: (event: { target: { value: string } }) => onChange({ ...draft, [name]: event.target.value }),
  });
  const line = { maxLength: TITLE_CHARS_MAX, autoComplete: 'off' };
  return (
    <>
      <TextField label="Title" help="As it should stand on the report" {...line} {...field('title')} />
      <TextField label="Client" help="The organisation that is audited" {...line} {...field('clientName')} />
      <div className="form__row">
        <TextField label="Period from" type="date" {...field('periodStart')} />
        <TextField label="to" type="date" {...field('periodEnd')} />
      </div>
    </>
  );
}

function CreateFailure({ error }: { error: unknown }) {
  if (error instanceof ProblemError && error.problem.code.startsWith('oscal')) return <OscalFault error={error} />;
  return isCardRefusal(error) ? null : <Failure error={error} />;
}

function NewEngagementForm() {
  const [draft, setDraft] = useState<Draft>({ title: '', clientName: '', periodStart: '', periodEnd: '' });
  const [source, setSource] = useState<'sample' | 'file'>('sample');
  const [file, setFile] = useState<CatalogueFile | null>(null);
  const [fault, setFault] = useState<CatalogueFault | null>(null);
  const [faults, setFaults] = useState<Faults>({});
  const form = useRef<HTMLFormElement>(null);
  const create = useCreate();
  const send = (notACard: readonly string[]) =>
    create.mutate({ draft, catalogue: source === 'sample' ? { source: 'sample' } : file?.document, notACard });
  const take = async ([first]: readonly File[]) => {
    if (!first) return;
    const reading = await readCatalogueFile(first);
    setFile(reading.ok ? reading.file : null);
    setFault(reading.ok ? null : reading.fault);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = faultsOf(draft, source, file);
    setFaults(found);
    if (Object.keys(found).length === 0) return send([]);
    setTimeout(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus(), 0);
  };
  return (
    <form className="form" onSubmit={submit} noValidate ref={form}>
      <DraftFields draft={draft} faults={faults} onChange={setDraft} />
      <ChoiceField label="Catalogue of criteria" name="source" value={source} onChange={setSource} choices={sources} />
      {source === 'file' && (
        <CatalogueChoice file={file} fault={fault} error={faults.catalogue} onFiles={(files) => void take(files)} />
      )}
      <CreateFailure error={create.error} />
      <CardOverride
        error={create.error}
        busy={create.isPending}
        onDeclare={(field) => send([...(create.variables?.notACard ?? []), field])}
      />
      <div className="form__actions">
        <Button look="primary" type="submit" busy={create.isPending}>
          {create.isPending ? 'Reading the catalogue' : 'Create engagement'}
        </Button>
        <Link className={buttonClass({ look: 'quiet' })} to="/">
          Cancel
        </Link>
      </div>
    </form>
  );
}

/** A new engagement: what is audited, for which period, against which catalogue. */
export function NewEngagementPage() {
  const home = <Link to="/">Engagements</Link>;
  return (
    <>
      <PageHead title="New engagement" trail={[home]}>
        It starts as a draft. Nobody of the client sees it before you add them as a contact.
      </PageHead>
      <NewEngagementForm />
    </>
  );
}
