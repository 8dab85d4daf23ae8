import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { useMembers, useNames } from '../../shell/names.ts';
import { roleWords } from '../../shell/session.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import { Button } from '../../ui/button.tsx';
import { Empty, PageHead } from '../../ui/display.tsx';
import { SelectField } from '../../ui/field.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import type { RuleProblem, RulesView, Trial } from './contract.ts';
import { EffectOnAll } from './effect.page.tsx';
import { Offices, rulesKey } from './offices.page.tsx';
import { RuleEditor } from './rule-editor.page.tsx';
import { TrialResult } from './trial.page.tsx';

const EXAMPLES: readonly (readonly [title: string, text: string])[] = [
  [
    'Auditors see engagements of their office',
    `@id("own-office")
forbid (principal is Person, action, resource is Engagement)
when { principal.role == "auditor" }
unless { principal has office && resource has office && principal.office == resource.office };
`,
  ],
  [
    'Client contacts see nothing before fieldwork',
    `@id("no-drafts-for-clients")
forbid (principal is Person, action in [Action::"see"], resource is Engagement)
when { principal.role == "client" && resource.state == "draft" };
`,
  ],
  [
    'Only leads work on an engagement in review',
    `@id("review-is-the-leads")
forbid (principal is Person, action in [Action::"work"], resource is Engagement)
when { principal.role != "lead" && resource.state == "review" };
`,
  ],
];

function Examples({ insert }: { insert: (text: string) => void }) {
  return (
    <Empty title="No rules of your own">
      <p>
        Auditrax lets auditors see every engagement of your organisation, and client contacts those that name them. A
        rule of yours takes something away from that, in lists, searches, exports and downloads alike. Begin with an
        example:
      </p>
      <ul className="ruled__examples">
        {EXAMPLES.map(([title, text]) => (
          <li key={title}>
            <button type="button" className="ruled__go" onClick={() => insert(text)}>
              {title}
            </button>
          </li>
        ))}
      </ul>
    </Empty>
  );
}

function useTrial(text: string, onProblems: (problems: readonly RuleProblem[]) => void) {
  const [result, setResult] = useState<{ trial: Trial; label: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const run = async (member: { id: string; label: string; role: string }) => {
    setBusy(true);
    try {
      const body = { text, memberId: member.id, role: member.role };
      const trial = await request<Trial>('/api/rules/try', { body });
      onProblems(trial.problems);
      setResult(trial.problems.length > 0 ? null : { trial, label: member.label });
      setError(null);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return { result, error, busy, run, forget: () => setResult(null) };
}

type Asked = Parameters<typeof EffectOnAll>[0]['people'][number];

/** Whom rules can be about: who is suspended sees nothing, and operators are no people of an organisation. */
function peopleOf(members: ReturnType<typeof useMembers>): Asked[] {
  return (members.data?.members ?? []).flatMap(({ id, label, role, state }) =>
    role === 'operator' || state === 'suspended' ? [] : [{ id, label, role }],
  );
}

function Try({ text, onProblems }: { text: string; onProblems: (problems: readonly RuleProblem[]) => void }) {
  const members = useMembers();
  const people = peopleOf(members);
  const [picked, setPicked] = useState<string | null>(null);
  const member = people.find(({ id }) => id === picked) ?? people.find(({ role }) => role === 'auditor') ?? people[0];
  const { result, error, busy, run } = useTrial(text, onProblems);
  if (!member) return <Failure error={members.error} />;
  return (
    <section className="section" aria-labelledby="try">
      <h2 id="try">Try it before you save</h2>
      <div className="form">
        <SelectField
          label="What would this person see?"
          value={member.id}
          onChange={setPicked}
          choices={people.map(({ id, label, role }) => ({ value: id, label: `${label} · ${roleWords[role]}` }))}
        />
        <div className="form__actions">
          <Button busy={busy} onClick={() => void run(member)}>
            Try
          </Button>
        </div>
      </div>
      <Failure error={error} />
      {result && <TrialResult {...result} />}
      <EffectOnAll key={text} text={text} people={people} onProblems={onProblems} />
    </section>
  );
}

type Version = RulesView['versions'][number];

function versionColumns(
  inForce: number,
  nameOf: (memberId: string) => string,
  take: (text: string) => void,
): readonly Column<Version>[] {
  return [
    {
      key: 'version',
      header: 'Version',
      main: true,
      cell: (row) => (
        <>
          Version {row.version}
          {row.version === inForce && ', in force'}
          {row.restores !== null && <span className="person__sub">restores version {row.restores}</span>}
        </>
      ),
    },
    { key: 'by', header: 'By', fit: true, priority: 2, cell: (row) => nameOf(row.writtenBy) },
    { key: 'at', header: 'Saved', fit: true, priority: 2, cell: (row) => <Ago at={row.writtenAt} /> },
    {
      key: 'take',
      header: 'Actions',
      quiet: true,
      fit: true,
      cell: (row) =>
        row.version === inForce ? null : (
          <Button onClick={() => take(row.text)}>Take version {row.version} up again</Button>
        ),
    },
  ];
}

function Versions({ view, take }: { view: RulesView; take: (text: string) => void }) {
  const nameOf = useNames();
  if (view.versions.length === 0) return null;
  return (
    <section className="section" aria-labelledby="versions">
      <h2 id="versions">Versions</h2>
      <DataTable
        label="Every version"
        rows={view.versions}
        rowKey={(row) => String(row.version)}
        whole
        empty={null}
        columns={versionColumns(view.version, nameOf, take)}
      />
    </section>
  );
}

function SaveDialog(props: { text: string; view: RulesView; onClose: () => void }) {
  const client = useQueryClient();
  const input = { text: props.text, version: props.view.version };
  return (
    <StepUpDialog
      open
      onClose={props.onClose}
      operation="rules.save"
      input={input}
      title={`Put version ${props.view.version + 1} in force`}
      confirm="Approve with passkey"
      effects={
        <p>
          The rules hold for everybody of your organisation from the next request, you included. You can always change
          them again: no rule reaches this page.
        </p>
      }
      commit={(stepUp) => request<{ version: number }>('/api/rules', { body: input, stepUp })}
      onDone={({ version }) => {
        props.onClose();
        toast(`Version ${version} is in force`);
        void client.invalidateQueries({ queryKey: rulesKey });
      }}
    />
  );
}

/** Beside the words that it helps to write. */
function Vocabulary() {
  return (
    <details>
      <summary>What a rule may speak of</summary>
      <p className="prose muted">
        <code>principal.role</code> (lead, auditor, client), <code>principal.office</code>, <code>resource.state</code>{' '}
        (draft, fieldwork, review, final), <code>resource.contacts</code>, <code>resource.office</code>. Actions are{' '}
        <code>Action::"see"</code> and <code>Action::"work"</code>, or any single one of them such as{' '}
        <code>Action::"evidence.download"</code>.
      </p>
    </details>
  );
}

function Rules({ view }: { view: RulesView }) {
  const [text, setText] = useState(view.text);
  const [problems, setProblems] = useState<readonly RuleProblem[]>([]);
  const [saving, setSaving] = useState(false);
  const write = (next: string) => {
    setText(next);
    setProblems([]);
  };
  const changed = text !== view.text;
  return (
    <>
      {text.trim() === '' && <Examples insert={write} />}
      <RuleEditor value={text} onChange={write} problems={problems} />
      <Vocabulary />
      <div className="form__actions">
        <Button look="primary" disabled={!changed || problems.length > 0} onClick={() => setSaving(true)}>
          Save…
        </Button>
        <Button disabled={!changed} onClick={() => write(view.text)}>
          Back to what is in force
        </Button>
      </div>
      <Try text={text} onProblems={setProblems} />
      <Versions view={view} take={write} />
      {saving && <SaveDialog text={text} view={view} onClose={() => setSaving(false)} />}
    </>
  );
}

/** Access rules that an organisation writes for itself, and the offices that they speak of. */
export function RulesPage() {
  const rules = useQuery({
    queryKey: rulesKey,
    queryFn: ({ signal }) => request<RulesView>('/api/rules', { signal }),
  });
  return (
    <>
      <PageHead title="Access rules">
        Who of your organisation sees which engagement. A rule can only take away what Auditrax allows; saving asks for
        your passkey, and every version stays.
      </PageHead>
      {rules.error && <Failure error={rules.error} />}
      {rules.isPending && <output className="muted">Reading the rules…</output>}
      {rules.data && (
        <>
          <Rules key={rules.data.version} view={rules.data} />
          <Offices view={rules.data} />
        </>
      )}
    </>
  );
}
