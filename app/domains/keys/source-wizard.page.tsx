import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { Checks, Facts, Hash, Notice, Stages } from '../../ui/display.tsx';
import { ChoiceField } from '../../ui/field.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { ProblemError } from '../../shell/problem.ts';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { CheckedSource, KeySourceAnswer, OwnKeySource } from '../../shell/wire.ts';
import { ImportMaterial } from './import-material.page.tsx';
import { AssuranceChip, Diagnosis, HealthChip, kindWords, WithdrawalExplained } from './key-words.page.tsx';
import { sourceApproval } from './source-approval.ts';
import { missing, SourceFields, sourceOf, type Draft, type OwnKind } from './source-fields.page.tsx';

/** Moving every data key of a large organisation takes its time; the server goes on even if nobody waits. */
const SWITCH_MS_MAX = 120_000;

const STEPS = ['kind', 'settings', 'check'] as const;
type Step = (typeof STEPS)[number];
const stepWords: Readonly<Record<Step, string>> = { kind: 'Kind', settings: 'Settings', check: 'Check and approve' };

/** Own kinds, and the one whose key material the tenant makes itself. */
type Choice = OwnKind | 'imported';

function choicesOf(kinds: KeySourceAnswer['kinds']) {
  const all: readonly { value: Choice; label: string; help: string }[] = [
    { value: 'aws-kms', label: kindWords['aws-kms'].name, help: kindWords['aws-kms'].means },
    {
      value: 'imported',
      label: 'Key material of your own, imported into your KMS key',
      help: 'You make the key, hand it to a KMS key without material, and may let it expire.',
    },
    { value: 'pkcs11', label: kindWords.pkcs11.name, help: kindWords.pkcs11.means },
    { value: 'xks', label: kindWords.xks.name, help: kindWords.xks.means },
  ];
  return all.filter(({ value }) => kinds.includes(value === 'imported' ? 'aws-kms' : value));
}

function KindStep({
  answer,
  choice,
  onChoose,
}: {
  answer: KeySourceAnswer;
  choice: Choice;
  onChoose: (next: Choice) => void;
}) {
  return (
    <>
      <ChoiceField label="Which key" name="kind" value={choice} onChange={onChoose} choices={choicesOf(answer.kinds)} />
      {!answer.kinds.includes('pkcs11') && (
        <p className="muted">
          No hardware module is configured in this installation, so there is no HSM key to choose.
        </p>
      )}
      <WithdrawalExplained />
    </>
  );
}

/** Whoever refuses was reached; what does not answer, or not to the point, was not. */
function reached(checked: CheckedSource): { readonly ok: boolean; readonly detail: string } {
  if (checked.provider !== null) return { ok: true, detail: `It answers as ${checked.provider}.` };
  if (checked.health.state === 'withdrawn') return { ok: true, detail: 'It answers, and refuses.' };
  return { ok: false, detail: 'No answer that could be used.' };
}

function CheckResult({ checked }: { checked: CheckedSource }) {
  return (
    <>
      {checked.ok && (
        <div className="row">
          <HealthChip health={checked.health} />
          {checked.assurance && <AssuranceChip assurance={checked.assurance} />}
        </div>
      )}
      <Checks
        steps={[
          { name: 'The store was reached', ...reached(checked) },
          {
            name: 'A throw-away key was wrapped, unwrapped and compared',
            ok: checked.ok ? true : checked.provider === null ? null : false,
            detail: checked.trialMs === null ? 'Not tried.' : `${Math.round(checked.trialMs)} ms for the trial.`,
          },
        ]}
      />
      {checked.ok ? (
        <Facts
          entries={[
            ...(checked.kekRef ? [['Key', <Hash key="ref" text={checked.kekRef} />] as const] : []),
            ...(checked.fingerprint ? [['Fingerprint', <Hash key="print" text={checked.fingerprint} />] as const] : []),
          ]}
        />
      ) : (
        <Notice kind="failing" title="This key cannot be used yet">
          <Diagnosis health={checked.health} />
          <p className="muted">Nothing was changed. Mend it there or go back to the settings, and check again.</p>
        </Notice>
      )}
    </>
  );
}

function CheckStep({ check }: { check: { data: CheckedSource | undefined; error: unknown; isPending: boolean } }) {
  if (check.isPending)
    return <output className="muted">Asking the store, wrapping and unwrapping a throw-away key…</output>;
  if (check.data) return <CheckResult checked={check.data} />;
  return <Failure error={check.error} />;
}

function faultOf(error: unknown): { field: string; words: string } | null {
  if (!(error instanceof ProblemError) || error.problem.field === null) return null;
  const field = error.problem.field.split('.').at(-1)!;
  return { field, words: error.problem.detail ?? 'This is not in the form that is needed.' };
}

/** Approval and the switch itself. */
function ApproveSwitch({
  source,
  answer,
  onClose,
  onDone,
}: {
  source: OwnKeySource;
  answer: KeySourceAnswer;
  onClose: () => void;
  onDone: () => void;
}) {
  const client = useQueryClient();
  const { total } = answer.moving;
  // As it was when the approval was opened: the list behind it may be read again meanwhile.
  const [from] = useState(answer.active.sourceId);
  const [approval, setApproval] = useState<object | null>(null);
  useEffect(() => {
    void sourceApproval(source).then((approved) => setApproval({ ...approved, from }));
    // The source cannot change while its approval is in front.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  return (
    <StepUpDialog
      open={approval !== null}
      onClose={onClose}
      operation="keys.change-source"
      input={approval}
      title={`Switch to: ${kindWords[source.kind].name}`}
      effects={
        <p>
          {total === 1 ? 'One data key is' : `${total} data keys are`} opened with the present key, wrapped under the
          new one, opened again and compared; only then the old wrapping is dropped. Your data stays readable meanwhile.
          From then on, who withdraws the new key makes it unreadable.
        </p>
      }
      confirm="Switch the key"
      commit={(stepUp) =>
        request<{ moving: KeySourceAnswer['moving'] }>('/api/keys/source', {
          body: { source, from },
          stepUp,
          answerMsMax: SWITCH_MS_MAX,
        })
      }
      onDone={({ moving }) => {
        toast(
          moving.left === 0 ? 'Your key protects your data now' : 'Your key seals what is new; the rest is to be moved',
          moving.left === 0
            ? `All ${moving.total} data keys have moved.`
            : `${moving.left} data keys are still to be moved. ${moving.stopped?.advice ?? ''}`.trimEnd(),
        );
        void client.invalidateQueries({ queryKey: ['keys'] });
        onDone();
      }}
    />
  );
}

interface Progressing {
  readonly step: Step;
  readonly setStep: (step: Step) => void;
  readonly run: () => void;
  readonly canApprove: boolean;
  readonly busy: boolean;
  readonly approve: () => void;
  readonly onClose: () => void;
}

function Foot({ step, setStep, run, canApprove, busy, approve, onClose }: Progressing) {
  return (
    <>
      <Button onClick={onClose}>Cancel</Button>
      {step !== 'kind' && <Button onClick={() => setStep(step === 'check' ? 'settings' : 'kind')}>Back</Button>}
      {step === 'kind' && (
        <Button look="primary" onClick={() => setStep('settings')}>
          Go on
        </Button>
      )}
      {step === 'settings' && (
        <Button look="primary" type="submit" form="source-settings" busy={busy}>
          Check it
        </Button>
      )}
      {step === 'check' && !canApprove && (
        <Button look="primary" busy={busy} onClick={run}>
          Check again
        </Button>
      )}
      {step === 'check' && canApprove && (
        <Button look="primary" icon="key" onClick={approve}>
          Go on to approval
        </Button>
      )}
    </>
  );
}

/** Another key for a tenant, in three steps: which, where, and a rehearsal before anything is changed. */
export function SourceWizard({ answer, onClose }: { answer: KeySourceAnswer; onClose: () => void }) {
  const [step, setStep] = useState<Step>('kind');
  const [choice, setChoice] = useState<Choice>('aws-kms');
  const [draft, setDraft] = useState<Draft>({});
  const [empty, setEmpty] = useState<string>();
  const [approving, setApproving] = useState(false);
  const kind = choice === 'imported' ? 'aws-kms' : choice;
  const source = sourceOf(kind, draft);
  const check = useMutation({
    mutationFn: () => request<CheckedSource>('/api/keys/source/check', { body: { source } }),
    // A field that is not in the form needed sends the person back to that field.
    onError: (error) => faultOf(error) && setStep('settings'),
  });
  const run = () => {
    setStep('check');
    check.mutate();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const lacking = missing(kind, draft);
    setEmpty(lacking);
    if (lacking === undefined) run();
  };
  const fault = empty === undefined ? faultOf(check.error) : { field: empty, words: 'This is needed.' };
  if (approving)
    return <ApproveSwitch source={source} answer={answer} onClose={() => setApproving(false)} onDone={onClose} />;
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title="Use a key of your own"
      description="Nothing changes before you have seen the check and approved it with your passkey."
      foot={
        <Foot
          step={step}
          setStep={setStep}
          run={run}
          canApprove={check.data?.ok === true && !check.isPending}
          busy={check.isPending}
          approve={() => setApproving(true)}
          onClose={onClose}
        />
      }
    >
      <Stages stages={STEPS} now={step} words={stepWords} />
      {step === 'kind' && <KindStep answer={answer} choice={choice} onChoose={setChoice} />}
      {step === 'settings' && (
        <form id="source-settings" className="form" onSubmit={submit} noValidate>
          <SourceFields kind={kind} draft={draft} fault={fault} onChange={setDraft} />
          {choice === 'imported' && source.kind === 'aws-kms' && (
            <ImportMaterial source={source} isReady={missing(kind, draft) === undefined} />
          )}
        </form>
      )}
      {step === 'check' && <CheckStep check={check} />}
    </Dialog>
  );
}
