import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button, buttonClass } from '../../ui/button.tsx';
import { Empty, Notice } from '../../ui/display.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { DeedDialog, type Deed } from '../../shell/deed.tsx';
import { Failure } from '../../shell/failure.tsx';
import { assertPasskey, passkeyObstacle } from '../../shell/passkey.ts';
import { useSession } from '../../shell/session.tsx';
import type { Ceremony, Identities } from '../../shell/wire.ts';

type Identity = Identities['identities'][number];

export const identitiesQuery = {
  queryKey: ['identities'],
  queryFn: ({ signal }: { signal: AbortSignal }) => request<Identities>('/api/sso/identities', { signal }),
} as const;

const removalOf = ({ id, connection }: Identity): Deed => ({
  operation: 'sso.disconnect',
  path: `/api/sso/identities/${id}/disconnect`,
  input: { accountId: id },
  body: {},
  title: `Disconnect ${connection}`,
  isDanger: true,
  effects:
    'It no longer signs you in, and sessions that began with it end, this one too if it is one of them. Whoever signs in with it later counts as somebody new.',
});

function columnsWith(onRemove: (identity: Identity) => void): readonly Column<Identity>[] {
  return [
    {
      key: 'connection',
      header: 'Identity',
      main: true,
      cell: ({ connection, path, isManaged }) => (
        <span>
          {connection}
          <span className="sub">
            {path === null
              ? 'Switched off for everybody'
              : isManaged
                ? 'Kept by your organisation’s directory'
                : 'In use'}
          </span>
        </span>
      ),
    },
    {
      key: 'connected',
      header: 'Connected',
      cell: ({ connectedAt }) => <Ago at={connectedAt} />,
      sort: ({ connectedAt }) => connectedAt,
      fit: true,
      priority: 3,
    },
    {
      key: 'used',
      header: 'Last used',
      cell: ({ lastUsedAt }) => (lastUsedAt === null ? <span className="muted">never</span> : <Ago at={lastUsedAt} />),
      sort: ({ lastUsedAt }) => lastUsedAt ?? '',
      fit: true,
    },
    {
      key: 'remove',
      header: 'Disconnect',
      quiet: true,
      cell: (identity) =>
        identity.isManaged ? null : (
          <Button small look="danger" onClick={() => onRemove(identity)}>
            Disconnect…
          </Button>
        ),
      fit: true,
    },
  ];
}

/** A new sign-in of the same person, by passkey or by a provider of theirs, for what an old session may not do. */
function SignInAgain({ identities, onDone }: { identities: readonly Identity[]; onDone: () => void }) {
  const client = useQueryClient();
  const again = useMutation({
    mutationFn: async () => {
      const { challengeId, options } = await request<Ceremony>('/api/identity/passkey/sign-in/options', {
        method: 'POST',
      });
      const response = await assertPasskey(options);
      await request('/api/identity/passkey/sign-in', { body: { challengeId, response } });
    },
    onSuccess: async () => {
      await client.invalidateQueries();
      onDone();
    },
  });
  const usable = identities.filter(({ path }) => path !== null);
  return (
    <div className="stack">
      <p className="muted">
        What you connect here signs you in from now on. Show first that it is you: you signed in more than ten minutes
        ago.
      </p>
      <Button
        look="primary"
        icon="key"
        wide
        busy={again.isPending}
        disabled={passkeyObstacle() !== null}
        onClick={() => again.mutate()}
      >
        Confirm with a passkey
      </Button>
      {usable.map(({ id, connection, path }) => (
        <a key={id} className={buttonClass({ wide: true })} href={path!}>
          Sign in again with {connection}
        </a>
      ))}
      <Failure error={again.error} />
    </div>
  );
}

/** Which of the organisation's connections the further identity is from; the browser goes there. */
function Connectable({ connectable }: Pick<Identities, 'connectable'>) {
  const leave = useMutation({
    mutationFn: async (connectionId: string) => {
      const { url } = await request<{ url: string }>('/api/sso/connect', { body: { connectionId } });
      location.assign(url);
    },
  });
  return (
    <div className="stack stack--tight">
      <p className="muted">
        You sign in there and come back here. An account that is already somebody else’s stays theirs.
      </p>
      {connectable.map(({ id, name }) => (
        <Button key={id} wide busy={leave.isPending && leave.variables === id} onClick={() => leave.mutate(id)}>
          Go on to {name}
        </Button>
      ))}
      <Failure error={leave.error} />
    </div>
  );
}

/** The person's accounts at the organisation's providers: which, since when, a further one, one less. */
export function OwnIdentities() {
  const client = useQueryClient();
  const found = useQuery(identitiesQuery);
  const [deed, setDeed] = useState<Deed | null>(null);
  const [isAdding, setAdding] = useState(false);
  const data = found.data;
  const done = async () => {
    setDeed(null);
    toast('Identity disconnected', 'Nobody comes in as you by it any more.');
    await client.invalidateQueries();
  };
  return (
    <section className="section" aria-labelledby="own-identities">
      <div className="row row--between">
        <h2 id="own-identities">Sign-in identities</h2>
        {data !== undefined && data.connectable.length > 0 && (
          <Button icon="plus" onClick={() => setAdding(true)}>
            Connect another identity…
          </Button>
        )}
      </div>
      <p className="muted">Company accounts that sign you in here. What needs approval still asks for your passkey.</p>
      <Failure error={found.error} />
      {!found.error && (
        <DataTable
          label="Identities that sign you in"
          columns={columnsWith((identity) => setDeed(removalOf(identity)))}
          rows={data?.identities}
          rowKey={({ id }) => id}
          whole
          empty={
            <Empty title="None connected">
              <p>You sign in with your passkeys alone.</p>
            </Empty>
          }
        />
      )}
      <Dialog
        open={isAdding}
        onClose={() => setAdding(false)}
        title="Connect another identity"
        foot={<Button onClick={() => setAdding(false)}>Cancel</Button>}
      >
        {data?.isRecent === true ? (
          <Connectable connectable={data.connectable} />
        ) : (
          <SignInAgain identities={data?.identities ?? []} onDone={() => void found.refetch()} />
        )}
      </Dialog>
      {deed && <DeedDialog deed={deed} onClose={() => setDeed(null)} onDone={() => void done()} />}
    </section>
  );
}

/** The way to a first passkey for somebody who came by a provider: a new sign-in there, then five minutes. */
export function FirstPasskey({ confirmedUntil }: Pick<Identities, 'confirmedUntil'>) {
  const session = useSession();
  const company = session.connection ?? 'your company';
  const leave = useMutation({
    mutationFn: async () => {
      const { url } = await request<{ url: string }>('/api/sso/confirm', { method: 'POST' });
      location.assign(url);
    },
  });
  if (confirmedUntil !== null)
    return (
      <Notice title="Confirmed: add your passkey now">
        <p>
          Within five minutes of the sign-in at {company}. Afterwards your passkeys approve, and each further one is
          added with one that you have.
        </p>
      </Notice>
    );
  return (
    <Notice kind="stale" title="Confirm at your company, then add a passkey">
      <p>
        You came in through {company}. It asks you to sign in once more; right after that you can make your first
        passkey on this device.
      </p>
      <Button look="primary" icon="out" busy={leave.isPending} onClick={() => leave.mutate()}>
        Confirm at {company}
      </Button>
      <Failure error={leave.error} />
    </Notice>
  );
}
