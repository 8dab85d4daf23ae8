import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Facts, Notice, PageHead, Person, Stages, Tiles } from '../../ui/display.tsx';
import { ComboField } from '../../ui/field.tsx';
import { toast } from '../../ui/overlay.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { Ago, dayText, Instant } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { ErrorInside } from '../../shell/error-screen.tsx';
import { Failure } from '../../shell/failure.tsx';
import { useMembers, useNames } from '../../shell/names.ts';
import { useSession } from '../../shell/session.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { EngagementDetail } from '../../shell/wire.ts';
import { CriteriaTab, type EvidenceSlots } from './criteria.page.tsx';
import { ResultBar, StateChip, stateOrder, stateWords } from './words.page.tsx';

const route = getRouteApi('/inside/engagements/$engagementId');

/** Key of everything that is loaded of one engagement. */
export function engagementKey(engagementId: string) {
  return ['engagement', engagementId] as const;
}

type Move = 'fieldwork' | 'review';
const moves: Readonly<
  Record<EngagementDetail['state'], readonly { readonly to: Move; readonly label: string; readonly primary: boolean }[]>
> = {
  draft: [{ to: 'fieldwork', label: 'Start fieldwork', primary: true }],
  fieldwork: [{ to: 'review', label: 'Send to review', primary: true }],
  review: [{ to: 'fieldwork', label: 'Return to fieldwork', primary: false }],
  final: [],
};
const stateMeaning: Readonly<Record<EngagementDetail['state'], string>> = {
  draft: 'Being set up. Results and evidence come with fieldwork.',
  fieldwork: 'Results and evidence are being collected.',
  review: 'Nothing can be added now. Return it to fieldwork, or make it final.',
  final: 'Sealed. It cannot change; a correction is a new engagement.',
};

function Finalise({ engagement, open, onClose }: { engagement: EngagementDetail; open: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const { progress } = engagement;
  const recorded = progress.total - progress.open;
  return (
    <StepUpDialog
      open={open}
      onClose={onClose}
      operation="engagements.finalise"
      input={{ engagementId: engagement.id, revision: engagement.revision }}
      title="Make this engagement final"
      confirm="Approve with passkey"
      effects={
        <div className="stack stack--tight">
          <p>
            It seals {recorded === 1 ? 'one result' : `${recorded} results`} and all evidence of “{engagement.title}”.
            Afterwards nobody can change them, not even you.
          </p>
          {progress.open > 0 && (
            <p>
              <b>
                {progress.open} of {progress.total} criteria have no result
              </b>{' '}
              and will stay open in the final record.
            </p>
          )}
        </div>
      }
      commit={(stepUp) =>
        request<{ revision: number }>(`/api/engagements/${engagement.id}/finalise`, {
          body: { revision: engagement.revision },
          stepUp,
        })
      }
      onDone={() => {
        onClose();
        toast('The engagement is final', 'The approval stands in the audit trail.');
        void client.invalidateQueries({ queryKey: engagementKey(engagement.id) });
        void client.invalidateQueries({ queryKey: ['engagements'] });
      }}
    />
  );
}

function StateCard({ engagement }: { engagement: EngagementDetail }) {
  const { role } = useSession();
  const client = useQueryClient();
  const [finalising, setFinalising] = useState(false);
  const move = useMutation({
    mutationFn: (to: Move) =>
      request(`/api/engagements/${engagement.id}/state`, { body: { to, revision: engagement.revision } }),
    onSettled: () => client.invalidateQueries({ queryKey: engagementKey(engagement.id) }),
    onSuccess: (_answer, to) => toast(to === 'review' ? 'Sent to review' : 'Fieldwork is open'),
  });
  const able = role === 'lead' || role === 'auditor';
  return (
    <section className="card" aria-label="State">
      <Stages stages={stateOrder} now={engagement.state} words={stateWords} />
      <p className="muted">
        {stateMeaning[engagement.state]}
        {engagement.finalisedAt && (
          <>
            {' '}
            Final since <Instant at={engagement.finalisedAt} />.
          </>
        )}
      </p>
      {able && engagement.state !== 'final' && (
        <div className="row">
          {moves[engagement.state].map((step) => (
            <Button
              key={step.to}
              {...(step.primary && { look: 'primary' as const })}
              busy={move.isPending}
              onClick={() => move.mutate(step.to)}
            >
              {step.label}
            </Button>
          ))}
          {engagement.state === 'review' && role === 'lead' && (
            <Button look="primary" icon="lock" onClick={() => setFinalising(true)}>
              Make final…
            </Button>
          )}
        </div>
      )}
      <Failure error={move.error} />
      <Finalise engagement={engagement} open={finalising} onClose={() => setFinalising(false)} />
    </section>
  );
}

function Overview({ engagement }: { engagement: EngagementDetail }) {
  const name = useNames();
  const { progress, catalogue } = engagement;
  return (
    <div className="stack stack--wide">
      <StateCard engagement={engagement} />
      <section className="section" aria-labelledby="results">
        <h2 id="results">Results</h2>
        <Tiles
          entries={[
            ['Criteria', progress.total],
            ['Satisfied', progress.satisfied],
            ['Not satisfied', progress.notSatisfied],
            ['Not applicable', progress.notApplicable],
            ['Open', progress.open],
          ]}
        />
        <ResultBar done={progress} words={false} />
      </section>
      <div className="split split--even">
        <section className="card" aria-labelledby="about">
          <h3 id="about">About this engagement</h3>
          <Facts
            entries={[
              ['Client', engagement.clientName],
              ['Period', `${dayText(engagement.periodStart)} to ${dayText(engagement.periodEnd)}`],
              ['Created', <Ago key="at" at={engagement.createdAt} />],
              ['By', name(engagement.createdBy)],
              ['Revision', engagement.revision],
            ]}
          />
        </section>
        <section className="card" aria-labelledby="catalogue">
          <h3 id="catalogue">Catalogue</h3>
          <Facts
            entries={[
              ['Title', catalogue.title],
              ['Version', catalogue.version],
              ['OSCAL', catalogue.oscalVersion],
              [
                'SHA-256',
                <span key="sha" className="hash">
                  {catalogue.sha256}
                </span>,
              ],
            ]}
          />
        </section>
      </div>
    </div>
  );
}

interface ContactChange {
  readonly memberId: string;
  readonly remove: boolean;
}

function AddContact({
  engagement,
  busy,
  onAdd,
}: {
  engagement: EngagementDetail;
  busy: boolean;
  onAdd: (memberId: string) => void;
}) {
  const members = useMembers();
  const [chosen, setChosen] = useState<string | null>(null);
  const candidates = (members.data?.members ?? []).filter(
    (member) => member.role === 'client' && member.state === 'active' && !engagement.contacts.includes(member.id),
  );
  const help =
    candidates.length > 0 ? (
      'They will see this engagement, its criteria and evidence.'
    ) : (
      <>
        Everybody of the client is added, or nobody is invited yet. <Link to="/people">Invite a client contact</Link>
      </>
    );
  return (
    <div className="form">
      <ComboField
        label="Add a contact"
        help={help}
        value={candidates.some((member) => member.id === chosen) ? chosen : null}
        choices={candidates.map((member) => ({ value: member.id, label: member.label }))}
        onChange={setChosen}
        empty="No client contact of this name."
      />
      <div>
        <Button disabled={!chosen} busy={busy} onClick={() => chosen && onAdd(chosen)}>
          Add contact
        </Button>
      </div>
    </div>
  );
}

function PeopleTab({ engagement }: { engagement: EngagementDetail }) {
  const { role } = useSession();
  const client = useQueryClient();
  const name = useNames();
  const change = useMutation({
    mutationFn: ({ memberId, remove }: ContactChange) =>
      request(`/api/engagements/${engagement.id}/contacts${remove ? '/remove' : ''}`, {
        body: { memberId, revision: engagement.revision },
      }),
    onSuccess: (_answer, { memberId, remove }) =>
      toast(remove ? `${name(memberId)} no longer sees it` : `${name(memberId)} now sees this engagement`),
    onSettled: () => client.invalidateQueries({ queryKey: engagementKey(engagement.id) }),
  });
  const able = role === 'lead' && engagement.state !== 'final';
  const removal = (memberId: string) => (
    <Button
      small
      look="quiet"
      icon="cross"
      busy={change.isPending}
      onClick={() => change.mutate({ memberId, remove: true })}
      aria-label={`Remove ${name(memberId)}`}
    >
      Remove
    </Button>
  );
  return (
    <div className="stack">
      <p className="muted prose">
        Auditors of your organisation see every engagement. A client contact sees only those they are added to, and can
        hand in evidence there.
      </p>
      <section className="section" aria-labelledby="contacts">
        <h2 id="contacts">Client contacts</h2>
        {engagement.contacts.length === 0 && (
          <p className="muted">None yet: nobody of the client sees this engagement.</p>
        )}
        <ul className="stack stack--tight">
          {engagement.contacts.map((memberId) => (
            <li key={memberId} className="row">
              <Person label={name(memberId)} sub="Client contact" />
              {able && removal(memberId)}
            </li>
          ))}
        </ul>
      </section>
      {able && (
        <AddContact
          engagement={engagement}
          busy={change.isPending}
          onAdd={(memberId) => change.mutate({ memberId, remove: false })}
        />
      )}
      <Failure error={change.error} />
    </div>
  );
}

type TabName = 'overview' | 'criteria' | 'evidence' | 'people';

/** One engagement: where it stands, its criteria, its evidence, its people. */
export function EngagementPage({ evidence }: { evidence: EvidenceSlots }) {
  const { engagementId } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error } = useQuery({
    queryKey: engagementKey(engagementId),
    queryFn: ({ signal }) => request<EngagementDetail>(`/api/engagements/${engagementId}`, { signal }),
  });
  if (error && !data) return <ErrorInside error={error} />;
  if (!data)
    return (
      <div className="stack" aria-busy="true">
        <h1>
          <span className="skeleton" />
          <span className="vh">Loading the engagement</span>
        </h1>
      </div>
    );
  const tab =
    (['overview', 'criteria', 'evidence', 'people'] as const).find((name) => name === search.tab) ?? 'overview';
  return (
    <>
      <PageHead
        title={data.title}
        trail={[
          <Link key="home" to="/">
            Engagements
          </Link>,
          data.clientName,
        ]}
        actions={<StateChip state={data.state} />}
      />
      {data.state === 'final' && (
        <Notice kind="proven" title="This engagement is final">
          <p>
            It is read-only. Export the audit trail of its period to hand out a record that can be verified without us.
          </p>
        </Notice>
      )}
      <Tabs<TabName>
        label="Parts of the engagement"
        value={tab}
        onChange={(next) => void navigate({ search: { tab: next } })}
        entries={[
          { value: 'overview', label: 'Overview', panel: <Overview engagement={data} /> },
          {
            value: 'criteria',
            label: 'Criteria',
            count: data.progress.total,
            panel: <CriteriaTab engagement={data} evidence={evidence} />,
          },
          { value: 'evidence', label: 'Evidence', panel: <evidence.All engagement={data} /> },
          { value: 'people', label: 'People', count: data.contacts.length, panel: <PeopleTab engagement={data} /> },
        ]}
      />
    </>
  );
}
