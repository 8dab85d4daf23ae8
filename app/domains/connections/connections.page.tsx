import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { Empty, PageHead } from '../../ui/display.tsx';
import { ChoiceField, TextField } from '../../ui/field.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ConnectionsAnswer, ConnectionSummary } from '../../shell/wire.ts';
import { daysText, kindWords, SOON_DAYS, StateChip } from './connection-words.page.tsx';
import { PROFILE_NAMES, profileWords } from './profile-words.ts';

const NAME_CHARACTERS_MAX = 80;
type Profile = ConnectionSummary['profile'];
type Kind = ConnectionSummary['kind'];

/** What is to be done next, in a few words; the empty text when nothing is. */
function nextOf(connection: ConnectionSummary): string {
  if (!connection.complete) return 'Write its values';
  if (!connection.tested) return 'Test it';
  if (connection.pending > 0) return 'Approve a certificate';
  if (connection.daysLeft !== null && connection.daysLeft <= SOON_DAYS)
    return `Certificate ${daysText(connection.daysLeft)}`;
  if (connection.state === 'draft') return 'Switch it on';
  return '';
}

const columns: readonly Column<ConnectionSummary>[] = [
  {
    key: 'name',
    header: 'Name',
    main: true,
    cell: ({ id, name }) => (
      <Link className="row-link" to="/connections/$connectionId" params={{ connectionId: id }}>
        {name}
      </Link>
    ),
  },
  {
    key: 'provider',
    header: 'Provider',
    priority: 2,
    cell: ({ profile, kind }) => `${profileWords[profile].name}, ${kindWords[kind]}`,
  },
  { key: 'groups', header: 'Groups', align: 'right', priority: 3, cell: ({ groups }) => groups },
  { key: 'next', header: 'To do', priority: 2, cell: nextOf },
  { key: 'state', header: 'State', fit: true, cell: ({ state }) => <StateChip state={state} /> },
];

interface Draft {
  readonly kind: Kind;
  readonly profile: Profile;
  readonly name: string;
}

/** First step of a set-up: which provider, by which protocol, under which name. */
function NewConnection({ onCreate }: { onCreate: (draft: Draft) => void }) {
  const [profile, setProfile] = useState<Profile>('entra');
  const [kind, setKind] = useState<Kind>('oidc');
  const [error, setError] = useState<string>();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget).get('name');
    const name = typeof typed === 'string' ? typed.trim() : '';
    setError(name === '' ? 'Write a name that people know it by: they see it on the sign-in page.' : undefined);
    if (name !== '') onCreate({ kind, profile, name });
  };
  return (
    <form className="form section" onSubmit={submit} aria-label="New connection" noValidate>
      <h2>New connection</h2>
      <ChoiceField
        label="Your identity provider"
        name="profile"
        value={profile}
        onChange={setProfile}
        row
        choices={PROFILE_NAMES.map((value) => ({ value, label: profileWords[value].name }))}
      />
      <ChoiceField
        label="Protocol"
        name="kind"
        value={kind}
        onChange={setKind}
        choices={[
          { value: 'oidc', label: kindWords.oidc, help: 'Simpler. Choose it if your provider has it.' },
          { value: 'saml', label: kindWords.saml, help: 'Its certificates have to be renewed from time to time.' },
        ]}
      />
      <TextField
        label="Name"
        name="name"
        maxLength={NAME_CHARACTERS_MAX}
        autoComplete="off"
        help="People see it on the sign-in page, for instance: Harbour staff."
        error={error}
      />
      <div className="form__actions">
        <Button look="primary" type="submit" icon="plus">
          Begin…
        </Button>
      </div>
    </form>
  );
}

/** The organisation's identity providers. */
export function ConnectionsPage() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [draft, setDraft] = useState<Draft | null>(null);
  const list = useQuery({
    queryKey: ['connections'],
    queryFn: ({ signal }) => request<ConnectionsAnswer>('/api/connections', { signal }),
  });
  const connections = list.data?.connections;
  const isFull = list.data !== undefined && list.data.connections.length >= list.data.connectionsMax;
  return (
    <>
      <PageHead title="Single sign-on">
        People sign in with your company’s identity provider. What needs approval still asks for their passkey, whatever
        the provider says.
      </PageHead>
      <Failure error={list.error} />
      {!list.error && (
        <DataTable
          label="Connections"
          columns={columns}
          rows={connections}
          rowKey={({ id }) => id}
          empty={
            <Empty title="No identity provider yet">
              <p>
                Choose yours below. You copy a few values to the provider, a few back here, and test it before anybody
                depends on it.
              </p>
            </Empty>
          }
        />
      )}
      {list.data && list.data.connections.length > 0 && (
        <p>
          Moving to another provider? <Link to="/changeover">Change of provider</Link> takes everybody along, and nobody
          is locked out.
        </p>
      )}
      {list.data && !isFull && <NewConnection onCreate={setDraft} />}
      {isFull && <p className="muted">An organisation has at most {list.data.connectionsMax} connections.</p>}
      {draft && (
        <StepUpDialog
          open
          onClose={() => setDraft(null)}
          operation="connections.create"
          input={draft}
          title={`Begin a connection to ${profileWords[draft.profile].name}`}
          confirm="Approve with passkey"
          effects={<p>It begins as a draft: nobody can come in by it before you have tested it and switched it on.</p>}
          commit={(stepUp) => request<{ id: string }>('/api/connections', { body: draft, stepUp })}
          onDone={({ id }) => {
            void client.invalidateQueries({ queryKey: ['connections'] });
            void navigate({ to: '/connections/$connectionId', params: { connectionId: id } });
          }}
        />
      )}
    </>
  );
}
