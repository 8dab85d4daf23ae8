import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Button, IconButton } from '../../ui/button.tsx';
import { CodeBlock, Empty, PageHead } from '../../ui/display.tsx';
import { ChoiceField, TextArea } from '../../ui/field.tsx';
import { Dialog, Menu, toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ApiClient, ApiClientsAnswer } from '../../shell/wire.ts';
import { ClientChange } from './api-client-change.page.tsx';
import { ClientWordsFields, readWords, type ClientWords } from './api-client-fields.page.tsx';

const kindNames = { application: 'Application', agent: 'Agent' } as const;
const atMost = { read: 'may read', write: 'may read and change' } as const;
const NOTHING_YET: ClientWords = { name: '', access: 'read', redirectUris: [], handsTo: [] };

/** A program as it would be registered, and as it is approved. */
interface Draft extends ClientWords, Pick<ApiClient, 'kind'> {
  readonly publicKey: string | null;
}

function KindField(props: { value: ApiClient['kind']; onChange: (kind: ApiClient['kind']) => void }) {
  return (
    <ChoiceField
      label="Kind"
      name="kind"
      {...props}
      choices={[
        {
          value: 'application',
          label: kindNames.application,
          help: 'On people’s own machines; it has no secret to keep.',
        },
        { value: 'agent', label: kindNames.agent, help: 'On a server; it proves itself by a key of its own.' },
      ]}
    />
  );
}

function NewClient({ agents, onRegister }: { agents: readonly ApiClient[]; onRegister: (draft: Draft) => void }) {
  const [kind, setKind] = useState<ApiClient['kind']>('application');
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget).get('publicKey');
    const publicKey = kind === 'agent' ? (typeof key === 'string' ? key.trim() : '') : null;
    onRegister({ ...readWords(event.currentTarget), kind, publicKey });
  };
  return (
    <form className="form section" onSubmit={submit} aria-label="New program" noValidate>
      <h2>New program</h2>
      <KindField value={kind} onChange={setKind} />
      <ClientWordsFields words={NOTHING_YET} agents={agents} />
      {kind === 'agent' && (
        <TextArea
          label="Its public key"
          name="publicKey"
          rows={3}
          help="A JWK with P-256 or Ed25519. The private half stays with the agent."
        />
      )}
      <div className="form__actions">
        <Button look="primary" type="submit" icon="plus">
          Register…
        </Button>
      </div>
    </form>
  );
}

function Removal({ client, onClose }: { client: ApiClient; onClose: () => void }) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => request(`/api/authorisation-server/clients/${client.id}/remove`, { body: {} }),
    onSuccess: async () => {
      toast('Removed', `${client.name} can do nothing here any more.`);
      await queries.invalidateQueries({ queryKey: ['api-clients'] });
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Remove ${client.name}`}
      foot={
        <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
          Remove
        </Button>
      }
    >
      <Failure error={remove.error} />
      <p>Whatever people have allowed it ends at once. To come back it is registered and allowed again.</p>
    </Dialog>
  );
}

interface Acts {
  readonly onChange: (client: ApiClient) => void;
  readonly onRemove: (client: ApiClient) => void;
}

function columnsFor({ onChange, onRemove }: Acts): readonly Column<ApiClient>[] {
  return [
    {
      key: 'name',
      header: 'Program',
      main: true,
      cell: ({ name, clientId }) => (
        <span>
          <b>{name}</b>
          <span className="sub">{clientId}</span>
        </span>
      ),
    },
    {
      key: 'kind',
      header: 'Kind',
      priority: 2,
      cell: ({ kind, access }) => (
        <span>
          {kindNames[kind]}
          <span className="sub">{atMost[access]}</span>
        </span>
      ),
    },
    { key: 'to', header: 'Answered at', priority: 3, cell: ({ redirectUris }) => redirectUris.join(', ') },
    {
      key: 'agents',
      header: 'May hand on to',
      priority: 3,
      cell: ({ handsTo }) =>
        handsTo.length === 0 ? <span className="muted">nobody</span> : handsTo.map(({ name }) => name).join(', '),
    },
    { key: 'since', header: 'Since', fit: true, priority: 3, cell: ({ registeredAt }) => <Ago at={registeredAt} /> },
    {
      key: 'actions',
      header: 'Actions',
      quiet: true,
      fit: true,
      cell: (client) => (
        <Menu
          trigger={<IconButton icon="more" label={`Actions for ${client.name}`} small />}
          entries={[
            { label: 'Change…', icon: 'list', onSelect: () => onChange(client) },
            { label: 'Remove…', icon: 'cross', onSelect: () => onRemove(client) },
          ]}
        />
      ),
    },
  ];
}

/** Programs that may ask the organisation's people. */
export function ApiClientsPage() {
  const queries = useQueryClient();
  const [draft, setDraft] = useState<Draft | null>(null);
  const [leaving, setLeaving] = useState<ApiClient | null>(null);
  const [changing, setChanging] = useState<ApiClient | null>(null);
  const list = useQuery({
    queryKey: ['api-clients'],
    queryFn: ({ signal }) => request<ApiClientsAnswer>('/api/authorisation-server/clients', { signal }),
  });
  const agents = list.data?.clients.filter(({ kind }) => kind === 'agent') ?? [];
  const isFull = list.data !== undefined && list.data.clients.length >= list.data.clientsMax;
  const done = (clientId: string) => {
    setDraft(null);
    toast('Registered', `Its client id is ${clientId}.`);
    void queries.invalidateQueries({ queryKey: ['api-clients'] });
  };
  return (
    <>
      <PageHead title="Programs">
        Applications and agents that may ask your people for access. Each person decides for themselves, and no program
        ever does more than they may.
      </PageHead>
      <Failure error={list.error} />
      {!list.error && (
        <DataTable
          label="Programs"
          columns={columnsFor({ onChange: setChanging, onRemove: setLeaving })}
          rows={list.data?.clients}
          rowKey={({ id }) => id}
          empty={
            <Empty title="No program is registered">
              <p>Nothing but a browser can work here until you register one.</p>
            </Empty>
          }
        />
      )}
      {list.data && (
        <section className="section">
          <h2>What its authors need</h2>
          <CodeBlock label="Address of your authorisation server" code={list.data.issuer} wrap />
        </section>
      )}
      {list.data && !isFull && <NewClient key={list.data.clients.length} agents={agents} onRegister={setDraft} />}
      {isFull && <p className="muted">An organisation has at most {list.data.clientsMax} programs.</p>}
      {draft && (
        <StepUpDialog
          open
          onClose={() => setDraft(null)}
          operation="authorisation-server.register-client"
          input={draft}
          title={`Register ${draft.name}`}
          confirm="Approve with passkey"
          effects={<p>It may ask your people for access from then on. Until somebody allows it, it can do nothing.</p>}
          commit={(stepUp) =>
            request<{ clientId: string }>('/api/authorisation-server/clients', { body: draft, stepUp })
          }
          onDone={({ clientId }) => done(clientId)}
        />
      )}
      {leaving && <Removal client={leaving} onClose={() => setLeaving(null)} />}
      {changing && (
        <ClientChange
          client={changing}
          agents={agents.filter(({ id }) => id !== changing.id)}
          onClose={() => setChanging(null)}
        />
      )}
    </>
  );
}
