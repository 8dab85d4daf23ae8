import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Empty, Notice, PageHead } from '../../ui/display.tsx';
import { SearchField } from '../../ui/field.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { ConnectionTabs } from '../../shell/connection-tabs.tsx';
import { DeedDialog, type Deed } from '../../shell/deed.tsx';
import { Failure } from '../../shell/failure.tsx';
import { roleWords } from '../../shell/session.tsx';
import type { Connection, Directory, Role } from '../../shell/wire.ts';
import { DirectoryTokens } from './directory-token.page.tsx';
import { PersonChip, thereWords, type DirectoryPerson } from './directory-words.page.tsx';

type Group = Directory['groups'][number];

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="section" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

const roleText = (role: string | null): ReactNode =>
  role === null ? <span className="muted">none</span> : (roleWords[role as Role] ?? role);
const heard = (at: string | null): ReactNode => (at === null ? <span className="muted">never</span> : <Ago at={at} />);

/** What is pasted at the provider, under the names it has there. */
function There({ connection, base }: { connection: Connection; base: string }) {
  const words = thereWords(connection.profile);
  return (
    <Part title="Values to paste there">
      <p>{words.where}</p>
      <div className="stack stack--tight">
        <span className="field__label">{words.base}</span>
        <CodeBlock label={words.base} code={base} />
      </div>
      <p>
        As {words.token}, paste a token from below. {words.mapping}
      </p>
    </Part>
  );
}

function Wave({ wave, onUndo }: { wave: NonNullable<Directory['wave']>; onUndo: () => void }) {
  const who = wave.people === 1 ? 'One person was' : `${wave.people} people were`;
  return (
    <Notice kind={wave.people >= 10 ? 'failing' : 'info'} title={`${who} put out by this directory within a day`}>
      <p>
        Since <Ago at={wave.since} />. If that is not so, end the directory’s token first, then let them in again: what
        it says next counts again.
      </p>
      <Button onClick={onUndo}>Let all of them in again…</Button>
    </Notice>
  );
}

const peopleColumns: readonly Column<DirectoryPerson>[] = [
  {
    key: 'name',
    header: 'Name',
    main: true,
    sort: ({ name, userName }) => name ?? userName,
    cell: ({ name, userName }) => (
      <>
        {name ?? userName}
        {name !== null && <span className="sub">{userName}</span>}
      </>
    ),
  },
  { key: 'role', header: 'Role here', priority: 2, cell: ({ role }) => roleText(role) },
  { key: 'groups', header: 'Groups', priority: 3, cell: ({ groups }) => groups.join(', ') },
  { key: 'heard', header: 'Last message', priority: 2, cell: ({ heardAt }) => heard(heardAt) },
  {
    key: 'state',
    header: 'State',
    fit: true,
    sort: ({ state }) => state,
    cell: ({ state }) => <PersonChip state={state} />,
  },
];

const groupColumns: readonly Column<Group>[] = [
  {
    key: 'name',
    header: 'Group',
    main: true,
    cell: ({ name, key }) => (
      <>
        {name}
        {key !== name && <span className="sub hash">{key}</span>}
      </>
    ),
  },
  { key: 'members', header: 'People', align: 'right', cell: ({ members }) => members },
  { key: 'heard', header: 'Last message', priority: 2, cell: ({ heardAt }) => heard(heardAt) },
  { key: 'role', header: 'Role it gives', fit: true, cell: ({ role }) => roleText(role) },
];

function People({ people }: { people: readonly DirectoryPerson[] }) {
  const [wanted, setWanted] = useState('');
  const word = wanted.trim().toLowerCase();
  const rows = people.filter(({ name, userName }) => `${name ?? ''} ${userName}`.toLowerCase().includes(word));
  return (
    <Part title="People">
      <DataTable
        label="People of the directory"
        columns={peopleColumns}
        rows={rows}
        rowKey={({ userName }) => userName}
        bar={
          people.length > 0 && (
            <div className="grow">
              <SearchField label="Find a person" value={wanted} onChange={(event) => setWanted(event.target.value)} />
            </div>
          )
        }
        empty={
          people.length === 0 ? (
            <Empty title="Nobody yet">
              <p>
                People appear here as soon as your directory speaks of them: with their role, or with why they have
                none.
              </p>
            </Empty>
          ) : (
            <Empty title="Nobody of that name">
              <p>Search for a part of the name or of the user name.</p>
            </Empty>
          )
        }
      />
    </Part>
  );
}

function Groups({ groups, connectionId }: { groups: readonly Group[]; connectionId: string }) {
  return (
    <Part title="Groups">
      <p>
        You choose which group gives which role under{' '}
        <Link to="/connections/$connectionId" params={{ connectionId }}>
          Setup
        </Link>
        . Who is in no such group is put out, unless the connection gives a role without one.
      </p>
      <DataTable
        label="Groups of the directory"
        columns={groupColumns}
        rows={groups}
        rowKey={({ key }) => key}
        whole
        empty={
          <Empty title="No group yet">
            <p>Push the groups that are assigned to this application.</p>
          </Empty>
        }
      />
    </Part>
  );
}

function Refusals({ refusals }: { refusals: Directory['refusals'] }) {
  if (refusals.length === 0) return null;
  return (
    <Part title="Refused messages">
      <ol className="timeline">
        {refusals.map(({ at, check, code, sentence, message, requestId }) => (
          <li key={`${requestId} ${code}`}>
            <div>
              <b>{check === null ? 'Refused' : `Check ${check}`}</b>: {sentence}{' '}
              <span className="muted">
                {message}, <code>{code}</code>, <span className="hash">{requestId}</span>
              </span>
              <div className="timeline__time">
                <Ago at={at} />
              </div>
            </div>
          </li>
        ))}
      </ol>
    </Part>
  );
}

function undoOf(connectionId: string, people: number): Deed {
  return {
    operation: 'provisioning.undo-wave',
    path: `/api/connections/${connectionId}/undo`,
    input: { connectionId },
    body: {},
    title: 'Let them in again',
    effects: `${people === 1 ? 'One person' : `All ${people} people`} whom this directory put out within a day can sign in again. Their sessions stay ended. Whom somebody else suspended stays out.`,
  };
}

interface PartsProps {
  readonly connection: Connection;
  readonly directory: Directory;
  readonly onDeed: (deed: Deed) => void;
  readonly onMade: () => void;
}

function Parts({ connection, directory, onDeed, onMade }: PartsProps) {
  const { id } = connection;
  const { wave } = directory;
  return (
    <>
      {wave !== null && <Wave wave={wave} onUndo={() => onDeed(undoOf(id, wave.people))} />}
      {connection.state === 'disabled' && (
        <Notice kind="stale" title="The connection is switched off">
          <p>Nobody comes in by it. Whoever its directory says has left is put out all the same.</p>
        </Notice>
      )}
      <There connection={connection} base={directory.base} />
      <Part title="Tokens">
        <DirectoryTokens
          connectionId={id}
          directory={directory}
          isDraft={connection.state === 'draft'}
          onDeed={onDeed}
          onMade={onMade}
        />
      </Part>
      <People people={directory.people} />
      <Groups groups={directory.groups} connectionId={id} />
      <Refusals refusals={directory.refusals} />
    </>
  );
}

/** The directory behind a connection: its tokens, the people and groups it speaks of, and what was refused. */
export function DirectoryPage() {
  const { connectionId } = useParams({ from: '/inside/connections/$connectionId/people' });
  const client = useQueryClient();
  const [deed, setDeed] = useState<Deed | null>(null);
  const connection = useQuery({
    queryKey: ['connections', connectionId],
    queryFn: ({ signal }) => request<Connection>(`/api/connections/${connectionId}`, { signal }),
  });
  const directory = useQuery({
    queryKey: ['connections', connectionId, 'people'],
    queryFn: ({ signal }) => request<Directory>(`/api/connections/${connectionId}/people`, { signal }),
  });
  const refresh = () => void client.invalidateQueries({ queryKey: ['connections', connectionId, 'people'] });
  const isRead = connection.data !== undefined && directory.data !== undefined;
  return (
    <>
      <PageHead
        title="Directory"
        trail={[
          <Link key="all" to="/connections">
            Single sign-on
          </Link>,
          <Link key="one" to="/connections/$connectionId" params={{ connectionId }}>
            {connection.data?.name ?? 'Connection'}
          </Link>,
        ]}
      >
        Your company’s directory tells us by SCIM who belongs here and who has left.
      </PageHead>
      <ConnectionTabs connectionId={connectionId} />
      <Failure error={connection.error ?? directory.error} />
      {!isRead && !connection.error && !directory.error && <output className="muted">Loading the directory…</output>}
      {isRead && <Parts connection={connection.data} directory={directory.data} onDeed={setDeed} onMade={refresh} />}
      {deed && (
        <DeedDialog
          deed={deed}
          onClose={() => setDeed(null)}
          onDone={() => {
            setDeed(null);
            toast('Done', deed.title);
            refresh();
          }}
        />
      )}
    </>
  );
}
