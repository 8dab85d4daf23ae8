import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Button, IconButton, Tag } from '../../ui/button.tsx';
import { Empty, Notice } from '../../ui/display.tsx';
import { ComboField, TextField } from '../../ui/field.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { FileDrop } from '../../ui/file-drop.tsx';
import { Icon } from '../../ui/icon.tsx';
import { toast } from '../../ui/overlay.tsx';
import { bytesText, Progress } from '../../ui/progress.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, dayText } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { CardOverride, isCardRefusal } from '../../shell/card-override.tsx';
import { Failure } from '../../shell/failure.tsx';
import { More } from '../../shell/more.tsx';
import { useNames } from '../../shell/names.ts';
import type { Criterion, EngagementDetail, Evidence } from '../../shell/wire.ts';
import { abortUpload, pauseUpload, resumeUpload, startUpload, useUploads, type Upload } from './upload.page.tsx';

interface EvidencePage {
  readonly evidence: readonly Evidence[];
  readonly nextCursor: string | null;
}

function useRefresh(engagementId: string): (evidence: Evidence) => void {
  const client = useQueryClient();
  return (evidence) => {
    toast('Evidence received', `${evidence.fileName}, ${bytesText(evidence.sizeBytes)}, sealed and recorded.`);
    void client.invalidateQueries({ queryKey: ['engagement', engagementId] });
  };
}

const stateWords: Readonly<Record<Upload['state'], string>> = {
  preparing: 'computing its hash',
  running: '',
  waiting: 'the line is bad, trying again',
  paused: 'paused',
  finishing: 'sealing',
  done: 'received',
  failed: 'stopped',
  unattached: 'unfinished',
};

function UploadRow({ upload }: { upload: Upload }) {
  const done = useRefresh(upload.engagementId);
  const [other, setOther] = useState(false);
  const take = (file: File | null) => setOther(resumeUpload(upload.key, file, done) === 'other-file');
  const share = upload.sizeBytes > 0 ? upload.received / upload.sizeBytes : 0;
  const words = stateWords[upload.state];
  const still = upload.state === 'running' || upload.state === 'waiting';
  return (
    <li className="upload">
      <Progress
        label={upload.fileName}
        value={upload.state === 'preparing' ? null : share}
        state={
          upload.state === 'done'
            ? 'done'
            : still || upload.state === 'preparing' || upload.state === 'finishing'
              ? 'running'
              : 'paused'
        }
        detail={`${bytesText(upload.received)} of ${bytesText(upload.sizeBytes)}${words && `, ${words}`}`}
      />
      <div className="row">
        <Tag>{upload.criterionLabel}</Tag>
        {still && (
          <Button small icon="pause" onClick={() => pauseUpload(upload.key)}>
            Pause
          </Button>
        )}
        {(upload.state === 'paused' || upload.state === 'failed') && (
          <Button small icon="play" onClick={() => take(null)}>
            Go on
          </Button>
        )}
        {upload.state !== 'done' && upload.state !== 'finishing' && (
          <Button small look="quiet" icon="cross" onClick={() => void abortUpload(upload.key)}>
            Give up
          </Button>
        )}
        {upload.state === 'done' && (
          <Button small look="quiet" onClick={() => void abortUpload(upload.key)}>
            Dismiss
          </Button>
        )}
      </div>
      {upload.state === 'unattached' && (
        <FileDrop
          label={`Choose ${upload.fileName} again to go on`}
          help={`After a reload the browser no longer has the file. ${bytesText(upload.received)} are safe and will not be sent again.`}
          onFiles={([file]) => file && take(file)}
        />
      )}
      {other && (
        <Notice kind="failing" title="This is another file">
          <p>
            Name, size or change date differ, so the two halves would not fit. Choose the same file, or give this upload
            up and start anew.
          </p>
        </Notice>
      )}
      <Failure error={upload.state === 'failed' ? upload.error : null} />
    </li>
  );
}

function Uploads({ engagementId, criterionId }: { engagementId: string; criterionId?: string }) {
  const uploads = useUploads().filter(
    (upload) => upload.engagementId === engagementId && (!criterionId || upload.criterionId === criterionId),
  );
  if (uploads.length === 0) return null;
  return (
    <ul className="stack stack--tight" aria-label="Uploads">
      {uploads.map((upload) => (
        <UploadRow key={upload.key} upload={upload} />
      ))}
    </ul>
  );
}

type Target = Pick<Criterion, 'id' | 'label'>;

interface CriteriaPage {
  readonly criteria: readonly Criterion[];
  readonly nextCursor: string | null;
}

/** All criteria of an engagement, page by page; for choosing one and for naming those that evidence belongs to. */
function useAllCriteria(engagementId: string, enabled = true) {
  return useQuery({
    queryKey: ['engagement', engagementId, 'criteria-all'],
    queryFn: async ({ signal }) => {
      const all: Criterion[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page: CriteriaPage = await request(`/api/engagements/${engagementId}/criteria`, {
          query: { cursor, limit: 200 },
          signal,
        });
        all.push(...page.criteria);
        cursor = page.nextCursor;
      }
      return all;
    },
    staleTime: 60_000,
    enabled,
  });
}

interface PickerProps {
  engagementId: string;
  value: string | null;
  onChange: (target: Target | null) => void;
  error: string | undefined;
}

function CriterionPicker({ engagementId, value, onChange, error }: PickerProps) {
  const { data, isPending } = useAllCriteria(engagementId);
  return (
    <ComboField
      label="Criterion it bears out"
      value={value}
      error={error}
      choices={(data ?? []).map((criterion) => ({
        value: criterion.id,
        label: `${criterion.label} ${criterion.title}`,
      }))}
      onChange={(id) => onChange(data?.find((criterion) => criterion.id === id) ?? null)}
      empty={isPending ? 'Loading the criteria…' : 'No criterion has these words.'}
    />
  );
}

function ChosenFiles({
  files,
  error,
  onFiles,
}: {
  files: readonly File[];
  error: string | undefined;
  onFiles: (files: readonly File[]) => void;
}) {
  return (
    <div className="stack stack--tight">
      <FileDrop
        label={files.length > 0 ? 'Choose other files' : 'Drop files, or choose them'}
        help="Any format, up to 8 GiB each. A bad line or a reload does not start it over."
        multiple
        onFiles={onFiles}
      />
      {files.length > 0 && (
        <ul className="stack stack--tight">
          {files.map((file) => (
            <li key={`${file.name} ${file.size}`} className="row">
              <Icon name="file" />
              <span>{file.name}</span>
              <span className="muted num">{bytesText(file.size)}</span>
            </li>
          ))}
        </ul>
      )}
      {error && (
        <p className="field__error" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

interface Days {
  readonly from: string;
  readonly to: string;
}

function SpeaksAbout({
  days,
  error,
  onChange,
}: {
  days: Days;
  error: string | undefined;
  onChange: (days: Days) => void;
}) {
  return (
    <div className="stack stack--tight">
      <div className="form__row">
        <TextField
          label="Speaks about, from"
          type="date"
          value={days.from}
          onChange={(event) => onChange({ ...days, from: event.target.value })}
          error={error}
        />
        <TextField
          label="to"
          type="date"
          value={days.to}
          onChange={(event) => onChange({ ...days, to: event.target.value })}
        />
      </div>
      <p className="field__help">
        The days that the content is about. When it was received is recorded by itself and cannot be set.
      </p>
    </div>
  );
}

type UploadFaults = { target?: string; days?: string; files?: string };

function faultsOf(target: Target | null, { from, to }: Days, files: readonly File[]): UploadFaults {
  const empty = files.find((file) => file.size === 0);
  return {
    ...(!target && { target: 'Choose the criterion.' }),
    ...((!from || !to || to < from) && { days: 'Give a first and a last day, in this order.' }),
    ...(files.length === 0 && { files: 'Choose at least one file.' }),
    ...(empty && { files: `${empty.name} is empty.` }),
  };
}

function UploadForm({ engagement, fixed }: { engagement: EngagementDetail; fixed?: Target }) {
  const done = useRefresh(engagement.id);
  const [target, setTarget] = useState<Target | null>(fixed ?? null);
  const [files, setFiles] = useState<readonly File[]>([]);
  const [days, setDays] = useState<Days>({ from: engagement.periodStart, to: engagement.periodEnd });
  const [faults, setFaults] = useState<UploadFaults>({});
  const send = useMutation({
    mutationFn: async (notACard: readonly string[]) => {
      if (!target) return;
      const criterion = { engagementId: engagement.id, criterionId: target.id, criterionLabel: target.label };
      let rest = files;
      for (const file of files) {
        await startUpload({ ...criterion, file, speaksAbout: days, notACard }, done);
        rest = rest.filter((other) => other !== file);
        setFiles(rest);
      }
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = faultsOf(target, days, files);
    setFaults(found);
    if (Object.keys(found).length === 0) send.mutate([]);
  };
  return (
    <form className="form" onSubmit={submit} noValidate>
      {!fixed && (
        <CriterionPicker
          engagementId={engagement.id}
          value={target?.id ?? null}
          onChange={setTarget}
          error={faults.target}
        />
      )}
      <ChosenFiles files={files} error={faults.files} onFiles={setFiles} />
      <SpeaksAbout days={days} error={faults.days} onChange={setDays} />
      {!isCardRefusal(send.error) && <Failure error={send.error} />}
      <CardOverride error={send.error} busy={send.isPending} onDeclare={(field) => send.mutate([field])} />
      <div className="form__actions">
        <Button look="primary" type="submit" icon="upload" busy={send.isPending}>
          Upload{files.length > 1 ? ` ${files.length} files` : ''}
        </Button>
      </div>
    </form>
  );
}

function address(evidence: Evidence): string {
  return `/api/evidence/${evidence.id}/content`;
}

function FileCell({ evidence }: { evidence: Evidence }) {
  return (
    <>
      <a className="row-link" href={address(evidence)} download>
        {evidence.fileName}
      </a>
      <span className="sub num">
        {bytesText(evidence.sizeBytes)} · SHA-256{' '}
        <span className="hash" title={evidence.sha256}>
          {evidence.sha256.slice(0, 12)}…
        </span>
      </span>
      {evidence.cardFlag && <GradeChip grade="stale" word="may hold a card number" />}
    </>
  );
}

function DownloadCell({ evidence }: { evidence: Evidence }) {
  const label = `Download ${evidence.fileName}`;
  return (
    <a
      className="btn btn--quiet btn--small btn--icon"
      href={address(evidence)}
      download
      aria-label={label}
      title={label}
    >
      <Icon name="download" />
    </a>
  );
}

function daysText({ from, to }: Days): string {
  return from === to ? dayText(from) : `${dayText(from)} to ${dayText(to)}`;
}

/** The columns of a list of evidence; without `labelOf` all rows are of one criterion and it is not named. */
function columnsFor(
  name: (id: string) => string,
  labelOf?: (criterionId: string) => string,
): readonly Column<Evidence>[] {
  const criterion: readonly Column<Evidence>[] = labelOf
    ? [{ key: 'criterion', header: 'Criterion', fit: true, cell: (row) => <code>{labelOf(row.criterionId)}</code> }]
    : [];
  return [
    {
      key: 'file',
      header: 'File',
      main: true,
      sort: (row) => row.fileName,
      cell: (row) => <FileCell evidence={row} />,
    },
    ...criterion,
    {
      key: 'about',
      header: 'Speaks about',
      priority: 2,
      fit: true,
      sort: (row) => row.speaksAbout.from,
      cell: (row) => daysText(row.speaksAbout),
    },
    {
      key: 'received',
      header: 'Received',
      priority: 2,
      fit: true,
      sort: (row) => row.receivedAt,
      cell: (row) => (
        <>
          <Ago at={row.receivedAt} />
          <span className="sub">{name(row.receivedBy)}</span>
        </>
      ),
    },
    { key: 'get', header: 'Download', quiet: true, fit: true, cell: (row) => <DownloadCell evidence={row} /> },
  ];
}

function useEvidence(engagementId: string, criterionId?: string) {
  return useInfiniteQuery({
    queryKey: ['engagement', engagementId, 'evidence', criterionId ?? null],
    queryFn: ({ pageParam, signal }) =>
      request<EvidencePage>(`/api/engagements/${engagementId}/evidence`, {
        query: { cursor: pageParam, criterionId },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
  });
}

/** Evidence of one criterion, beside its result. */
export function EvidenceOfCriterion({ engagement, criterion }: { engagement: EngagementDetail; criterion: Criterion }) {
  const list = useEvidence(engagement.id, criterion.id);
  const name = useNames();
  const rows = list.data?.pages.flatMap((page) => page.evidence);
  return (
    <section className="section" aria-label="Evidence">
      <h3>Evidence</h3>
      <Failure error={list.error} />
      {!list.error && (
        <DataTable
          label={`Evidence of ${criterion.label}`}
          columns={columnsFor(name)}
          rows={rows}
          rowKey={(row) => row.id}
          whole
          empty={<p className="muted">None yet.</p>}
        />
      )}
      <Uploads engagementId={engagement.id} criterionId={criterion.id} />
      {engagement.state === 'fieldwork' && (
        <details>
          <summary>Add evidence</summary>
          <UploadForm engagement={engagement} fixed={criterion} />
        </details>
      )}
    </section>
  );
}

function AddEvidence({ engagement }: { engagement: EngagementDetail }) {
  const [adding, setAdding] = useState(false);
  if (!adding)
    return (
      <div>
        <Button look="primary" icon="upload" onClick={() => setAdding(true)}>
          Add evidence
        </Button>
      </div>
    );
  return (
    <section className="card" aria-label="Add evidence">
      <div className="card__head">
        <h2>Add evidence</h2>
        <IconButton icon="cross" label="Close" small onClick={() => setAdding(false)} />
      </div>
      <UploadForm engagement={engagement} />
    </section>
  );
}

const emptyTitles: Readonly<Record<EngagementDetail['state'], string>> = {
  draft: 'Evidence comes with fieldwork',
  fieldwork: 'No evidence yet',
  review: 'No evidence was handed in',
  final: 'No evidence was handed in',
};

/** All evidence of an engagement, newest first. */
export function EvidenceTab({ engagement }: { engagement: EngagementDetail }) {
  const list = useEvidence(engagement.id);
  const name = useNames();
  const rows = list.data?.pages.flatMap((page) => page.evidence);
  const criteria = useAllCriteria(engagement.id, rows !== undefined && rows.length > 0).data;
  const labelOf = (id: string) => criteria?.find((criterion) => criterion.id === id)?.label ?? '…';
  const empty = (
    <Empty title={emptyTitles[engagement.state]}>
      <p>
        Evidence is a file that bears a criterion out. It is sealed as it arrives, its hash goes into the audit trail,
        and it only ever leaves as a download.
      </p>
    </Empty>
  );
  const more = rows && rows.length > 0 && (
    <More
      shown={rows.length}
      what={rows.length === 1 ? 'file' : 'files'}
      hasMore={list.hasNextPage}
      busy={list.isFetchingNextPage}
      onMore={() => void list.fetchNextPage()}
    />
  );
  const columns = columnsFor(name, labelOf);
  return (
    <div className="stack">
      {engagement.state === 'fieldwork' && <AddEvidence engagement={engagement} />}
      <Uploads engagementId={engagement.id} />
      {list.error ? (
        <Failure error={list.error} />
      ) : (
        <DataTable
          label="Evidence"
          columns={columns}
          rows={rows}
          rowKey={(row) => row.id}
          whole
          empty={empty}
          foot={more}
        />
      )}
    </div>
  );
}
