import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Button } from '../../ui/button.tsx';
import { Empty, Notice, PageHead } from '../../ui/display.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { createPasskey, passkeyObstacle } from '../../shell/passkey.ts';
import { sessionQuery, useSession } from '../../shell/session.tsx';
import type { Ceremony, Passkey, PasskeyList, Session } from '../../shell/wire.ts';
import { FirstPasskey, identitiesQuery, OwnIdentities } from './identities.page.tsx';
import { Obstacle } from './sign-in.page.tsx';

const columns: readonly Column<Passkey>[] = [
  {
    key: 'kind',
    header: 'Passkey',
    main: true,
    cell: (key) => (
      <span>
        {key.deviceType === 'multiDevice' ? 'Synced passkey' : 'Passkey on one device'}
        <span className="sub">
          {key.deviceType === 'multiDevice'
            ? 'Kept by a password manager, on all its devices'
            : 'A security key, or a device that does not share it'}
        </span>
      </span>
    ),
  },
  {
    key: 'created',
    header: 'Made',
    cell: (key) => <Ago at={key.createdAt} />,
    sort: (key) => key.createdAt,
    fit: true,
  },
  {
    key: 'used',
    header: 'Last used',
    cell: (key) => (key.lastUsedAt ? <Ago at={key.lastUsedAt} /> : <span className="muted">never</span>),
    sort: (key) => key.lastUsedAt ?? '',
    fit: true,
  },
];

const noPasskey = (
  <Empty title="No passkey yet">
    <p>A phone, a laptop with a screen lock or a security key can hold one.</p>
  </Empty>
);

/** Why no further passkey can be added in this session, with the way out. */
function CannotAdd({ method }: Pick<Session, 'method'>) {
  return (
    <Notice kind="stale" title="Sign in with a passkey to add another">
      <p>
        {method === 'sso'
          ? 'Whoever has a passkey adds the next one with it, so that nobody else can.'
          : 'A sign-in link cannot vouch for a new device. Your enrolment link makes the first passkey.'}
      </p>
    </Notice>
  );
}

/** Whoever has one has none to spare. */
function OnlyOne({ role }: Pick<Session, 'role'>) {
  const isPrivileged = role === 'lead' || role === 'operator';
  return (
    <Notice kind="stale" title="You have one passkey">
      <p>
        {isPrivileged
          ? 'Add a second one on another device now. Until then you can read, but approve nothing.'
          : 'Add a second one on another device. If you lose your only one, a lead auditor has to let you back in, which takes a day.'}
      </p>
    </Notice>
  );
}

/** The person's own passkeys, a second one for the day when a device is lost, and their accounts at providers. */
export function PasskeysPage() {
  const session = useSession();
  const client = useQueryClient();
  const keys = useQuery({
    queryKey: ['passkeys'],
    queryFn: ({ signal }) => request<PasskeyList>('/api/identity/passkeys', { signal }),
  });
  const add = useMutation({
    mutationFn: async () => {
      const { challengeId, options } = await request<Ceremony>('/api/identity/passkey/options', { method: 'POST' });
      const response = await createPasskey(options);
      await request('/api/identity/passkey', { body: { challengeId, response } });
    },
    onSuccess: async () => {
      toast('Passkey added', 'It works from now on, on this device.');
      await Promise.all([
        client.invalidateQueries({ queryKey: ['passkeys'] }),
        client.invalidateQueries({ queryKey: sessionQuery.queryKey }),
      ]);
    },
  });
  const list = keys.data?.passkeys;
  const isFirst = session.method === 'sso' && session.passkeys === 0;
  const identities = useQuery({ ...identitiesQuery, enabled: isFirst });
  const confirmedUntil = identities.data?.confirmedUntil ?? null;
  const canAdd = session.method === 'passkey' || (isFirst && confirmedUntil !== null);
  const button = (
    <Button
      look="primary"
      icon="plus"
      busy={add.isPending}
      disabled={!canAdd || passkeyObstacle() !== null}
      onClick={() => add.mutate()}
    >
      Add a passkey
    </Button>
  );
  return (
    <>
      <PageHead title="Your passkeys" actions={button}>
        You sign in and approve with them. Keep two on different devices: then losing one is no trouble.
      </PageHead>
      <Obstacle />
      {isFirst && <FirstPasskey confirmedUntil={confirmedUntil} />}
      {!canAdd && !isFirst && <CannotAdd method={session.method} />}
      {list?.length === 1 && <OnlyOne role={session.role} />}
      <Failure error={add.error ?? keys.error} />
      {!keys.error && (
        <DataTable
          label="Your passkeys"
          columns={columns}
          rows={list}
          rowKey={(key) => `${key.createdAt} ${key.deviceType}`}
          whole
          empty={noPasskey}
        />
      )}
      <OwnIdentities />
    </>
  );
}
