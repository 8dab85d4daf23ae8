import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Button, IconButton } from '../../ui/button.tsx';
import { CodeBlock, Empty, Notice, PageHead, Person } from '../../ui/display.tsx';
import { GradeChip, type Grade } from '../../ui/grade.tsx';
import { ChoiceField, TextField } from '../../ui/field.tsx';
import { Dialog, Menu, toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Deadline } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { membersKey, useMembers } from '../../shell/names.ts';
import { roleHelp, roleWords, useSession } from '../../shell/session.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import { RecoverDialog, Recoveries } from './recoveries.page.tsx';
import type { Erasure, Invitation, Invited, Member, Role } from '../../shell/wire.ts';

const LABEL_CHARS_MAX = 120;
const stateLook: Readonly<Record<Member['state'], Grade>> = {
  active: 'proven',
  invited: 'asserted',
  suspended: 'stale',
};
const invitationLook: Readonly<Record<Invitation['state'], Grade>> = {
  open: 'measured',
  accepted: 'proven',
  expired: 'asserted',
};

/** Roles that a person of this tenant can be given: the operator's tenant has operators only. */
function rolesOf(own: Role): readonly Role[] {
  return own === 'operator' ? ['operator'] : ['lead', 'auditor', 'client'];
}

/** The enrolment link, shown this once: it is not kept anywhere in the open. */
function InvitedDialog({ invited, onClose }: { invited: Invited | null; onClose: () => void }) {
  if (!invited) return null;
  const address = new URL(invited.enrolmentUrl, window.location.origin).href;
  return (
    <Dialog
      open
      onClose={onClose}
      title={`${invited.invitation.label} is invited`}
      description="Hand this link over on a way that you trust. It is shown this once, works once, and makes the person’s first passkey."
      foot={
        <Button look="primary" onClick={onClose}>
          I have handed it over
        </Button>
      }
    >
      <CodeBlock label="enrolment link" code={address} wrap />
      <p className="muted">
        <Deadline due={invited.invitation.expiresAt} then="the link is void and you invite again" />
      </p>
    </Dialog>
  );
}

interface Draft {
  readonly label: string;
  readonly role: Role;
  readonly name: string;
}

function InviteForm({ onReady }: { onReady: (draft: Draft) => void }) {
  const { role: own } = useSession();
  const roles = rolesOf(own);
  const [label, setLabel] = useState('');
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>(own === 'operator' ? 'operator' : 'auditor');
  const [error, setError] = useState<string | undefined>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setError(label.trim() === '' ? 'Say how this person is called on lists and in the audit trail.' : undefined);
    if (label.trim() !== '') onReady({ label: label.trim(), role, name: name.trim() });
  };
  return (
    <form className="form" id="invite" onSubmit={submit} noValidate>
      <TextField
        label="Label"
        help="How the person appears on lists and in the audit trail, for instance “Auditor, night shift”"
        value={label}
        maxLength={LABEL_CHARS_MAX}
        autoComplete="off"
        onChange={(event) => setLabel(event.target.value)}
        error={error}
      />
      <TextField
        label="Full name"
        optional
        help="Sealed; in the audit trail only as a salted digest"
        value={name}
        maxLength={LABEL_CHARS_MAX}
        autoComplete="off"
        onChange={(event) => setName(event.target.value)}
      />
      <ChoiceField
        label="Role"
        name="role"
        value={role}
        onChange={setRole}
        choices={roles.map((value) => ({ value, label: roleWords[value], help: roleHelp[value] }))}
      />
    </form>
  );
}

function InviteDialogs({ open, onClose }: { open: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft | null>(null);
  const [invited, setInvited] = useState<Invited | null>(null);
  const body = draft && { label: draft.label, role: draft.role, ...(draft.name && { name: draft.name }) };
  return (
    <>
      <Dialog
        open={open && !draft}
        onClose={onClose}
        title="Invite a person"
        description="They get a link that works once and makes their passkey. No password is ever set."
        foot={
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button look="primary" type="submit" form="invite">
              Go on to approval
            </Button>
          </>
        }
      >
        <InviteForm onReady={setDraft} />
      </Dialog>
      {draft && body && (
        <StepUpDialog
          open
          onClose={() => setDraft(null)}
          operation="access.invite"
          input={body}
          title={`Invite ${draft.label}`}
          confirm="Approve with passkey"
          effects={
            <p>
              It adds one person as {roleWords[draft.role].toLowerCase()} to your organisation. {roleHelp[draft.role]}
            </p>
          }
          commit={(stepUp) => request<Invited>('/api/access/invitations', { body, stepUp })}
          onDone={(result) => {
            setDraft(null);
            onClose();
            setInvited(result);
            void client.invalidateQueries({ queryKey: membersKey });
            void client.invalidateQueries({ queryKey: ['invitations'] });
          }}
        />
      )}
      <InvitedDialog invited={invited} onClose={() => setInvited(null)} />
    </>
  );
}

function RoleDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const client = useQueryClient();
  const { role: own } = useSession();
  const [role, setRole] = useState<Role>(member.role);
  const [asked, setAsked] = useState(false);
  if (asked)
    return (
      <StepUpDialog
        open
        onClose={onClose}
        operation="access.change-role"
        input={{ memberId: member.id, role }}
        title={`Make ${member.label} ${roleWords[role].toLowerCase()}`}
        confirm="Approve with passkey"
        effects={<p>{roleHelp[role]} It takes effect with the person’s next request.</p>}
        commit={(stepUp) => request(`/api/access/members/${member.id}/role`, { body: { role }, stepUp })}
        onDone={() => {
          onClose();
          toast(`${member.label} is now ${roleWords[role].toLowerCase()}`);
          void client.invalidateQueries({ queryKey: membersKey });
        }}
      />
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Role of ${member.label}`}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" disabled={role === member.role} onClick={() => setAsked(true)}>
            Go on to approval
          </Button>
        </>
      }
    >
      <ChoiceField
        label="Role"
        name="new-role"
        value={role}
        onChange={setRole}
        choices={rolesOf(own).map((value) => ({ value, label: roleWords[value], help: roleHelp[value] }))}
      />
    </Dialog>
  );
}

function SuspendDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const client = useQueryClient();
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="access.suspend-member"
      input={{ memberId: member.id }}
      title={`Suspend ${member.label}`}
      confirm="Suspend with passkey"
      isDanger
      effects={
        <p>
          All sessions of this person end now and their passkeys no longer sign in. What they recorded stays, with their
          label.
        </p>
      }
      commit={(stepUp) =>
        request<{ sessionsClosed: number }>(`/api/access/members/${member.id}/suspend`, { method: 'POST', stepUp })
      }
      onDone={({ sessionsClosed }) => {
        onClose();
        toast(
          `${member.label} is suspended`,
          `${sessionsClosed} ${sessionsClosed === 1 ? 'session' : 'sessions'} closed.`,
        );
        void client.invalidateQueries({ queryKey: membersKey });
      }}
    />
  );
}

function ReinstateDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const client = useQueryClient();
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="access.reinstate-member"
      input={{ memberId: member.id }}
      title={`Let ${member.label} in again`}
      confirm="Let in with passkey"
      effects={
        <p>
          They come back as {roleWords[member.role].toLowerCase()} and sign in as before. Sessions, keys and programs
          that ended stay ended. While a directory says that they have left, this is refused: it has to say otherwise
          first.
        </p>
      }
      commit={(stepUp) => request(`/api/access/members/${member.id}/reinstate`, { method: 'POST', stepUp })}
      onDone={() => {
        onClose();
        toast(`${member.label} may sign in again`);
        void client.invalidateQueries({ queryKey: membersKey });
      }}
    />
  );
}

type Ground = 'request' | 'retention-over' | 'unlawful';
const grounds: readonly { value: Ground; label: string; help: string }[] = [
  { value: 'request', label: 'The person asked for it', help: 'A request for erasure that you have to follow.' },
  { value: 'retention-over', label: 'The time to keep it is over', help: 'Nothing obliges you to keep it any longer.' },
  { value: 'unlawful', label: 'It should never have been kept', help: 'There was no ground, or the ground is gone.' },
];

/** What goes and what stays, in the words that the approval repeats. */
function ErasureEffects({ erasure }: { erasure: Erasure }) {
  const { member, values, invitations, backupRetentionDays: kept, deadlineDays } = erasure;
  return (
    <>
      <p>
        <strong>Gone for good:</strong> the key of {values} {values === 1 ? 'value' : 'values'} that the audit trail
        withholds about {member.label}, their name on the list and on {invitations}{' '}
        {invitations === 1 ? 'invitation' : 'invitations'}, and their passkeys. Nobody can take this back.
      </p>
      <p>
        <strong>Stays:</strong> every entry with its proof, and what this person did, under an id. The trail names each
        erased value by its digest, so a verifier says “erased” and not “missing”. What people typed into engagements is
        not searched for names.
      </p>
      <p>
        <strong>Backups</strong> are kept {kept} days and hold the key until then.{' '}
        {kept > deadlineDays
          ? `That is longer than the ${deadlineDays} days that the law gives: ask your operator to remove older ones.`
          : `That is within the ${deadlineDays} days that the law gives.`}
      </p>
    </>
  );
}

function EraseForm({ erasure, onReady }: { erasure: Erasure; onReady: (ground: Ground) => void }) {
  const { label } = erasure.member;
  const [ground, setGround] = useState<Ground>('request');
  const [name, setName] = useState('');
  const [error, setError] = useState<string | undefined>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setError(name === label ? undefined : `Write exactly “${label}”.`);
    if (name === label) onReady(ground);
  };
  return (
    <form className="form" id="erase" onSubmit={submit} noValidate>
      <ErasureEffects erasure={erasure} />
      <ChoiceField label="Why" name="ground" value={ground} onChange={setGround} choices={grounds} />
      <TextField
        label={`Write “${label}” to confirm`}
        value={name}
        maxLength={LABEL_CHARS_MAX}
        autoComplete="off"
        onChange={(event) => setName(event.target.value)}
        error={error}
      />
    </form>
  );
}

function EraseDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const client = useQueryClient();
  const [ground, setGround] = useState<Ground | null>(null);
  const path = `/api/access/members/${member.id}/erasure`;
  const preview = useQuery({
    queryKey: ['erasure', member.id],
    queryFn: ({ signal }) => request<Erasure>(path, { signal }),
    gcTime: 0,
  });
  const erasure = preview.data;
  if (ground === null || erasure === undefined)
    return (
      <Dialog
        open
        onClose={onClose}
        title={`Erase ${member.label}`}
        foot={
          <>
            <Button onClick={onClose}>Cancel</Button>
            {erasure && (
              <Button look="primary" type="submit" form="erase">
                Go on to approval
              </Button>
            )}
          </>
        }
      >
        {preview.isPending && <output className="muted">Counting what would go…</output>}
        {preview.error ? (
          <Failure error={preview.error} />
        ) : (
          erasure && <EraseForm erasure={erasure} onReady={setGround} />
        )}
      </Dialog>
    );
  const body = { name: member.label, ground };
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="access.erase-member"
      input={{ memberId: member.id, ...body }}
      title={`Erase ${member.label}`}
      confirm="Erase with passkey"
      isDanger
      effects={<ErasureEffects erasure={erasure} />}
      commit={(stepUp) => request<{ values: number; entries: number }>(path, { body, stepUp })}
      onDone={({ values, entries }) => {
        onClose();
        toast(
          'Erased',
          `${values} ${values === 1 ? 'value' : 'values'}, told in ${entries} ${entries === 1 ? 'entry' : 'entries'}.`,
        );
        void client.invalidateQueries({ queryKey: membersKey });
        void client.invalidateQueries({ queryKey: ['invitations'] });
      }}
    />
  );
}

type Act = { readonly kind: 'role' | 'suspend' | 'reinstate' | 'recover' | 'erase'; readonly member: Member } | null;

const dialogs = {
  role: RoleDialog,
  suspend: SuspendDialog,
  reinstate: ReinstateDialog,
  recover: RecoverDialog,
  erase: EraseDialog,
} as const;

function ActDialog({ act, onClose }: { act: Act; onClose: () => void }) {
  if (act === null) return null;
  const Asked = dialogs[act.kind];
  return <Asked member={act.member} onClose={onClose} />;
}

function columnsFor(able: boolean, act: (next: Act) => void): readonly Column<Member>[] {
  return [
    {
      key: 'person',
      header: 'Person',
      main: true,
      sort: (row) => row.label,
      cell: (row) => <Person label={row.label} sub={row.self ? 'You' : undefined} />,
    },
    { key: 'role', header: 'Role', fit: true, sort: (row) => row.role, cell: (row) => roleWords[row.role] },
    {
      key: 'state',
      header: 'State',
      fit: true,
      sort: (row) => row.state,
      cell: (row) => <GradeChip grade={stateLook[row.state]} word={row.state} />,
    },
    ...(able
      ? [
          {
            key: 'actions',
            header: 'Actions',
            quiet: true,
            fit: true,
            cell: (row: Member) =>
              row.self ? null : (
                <Menu
                  trigger={<IconButton icon="more" label={`Actions for ${row.label}`} small />}
                  entries={[
                    {
                      label: 'Change role…',
                      icon: 'people',
                      onSelect: () => act({ kind: 'role', member: row }),
                      disabled: row.state === 'suspended',
                    },
                    {
                      label: 'Lost all passkeys…',
                      icon: 'key',
                      onSelect: () => act({ kind: 'recover', member: row }),
                      disabled: row.state !== 'active',
                    },
                    row.state === 'suspended'
                      ? {
                          label: 'Let in again…',
                          icon: 'check',
                          onSelect: () => act({ kind: 'reinstate', member: row }),
                        }
                      : {
                          label: 'Suspend…',
                          icon: 'cross',
                          isDanger: true,
                          onSelect: () => act({ kind: 'suspend', member: row }),
                        },
                    {
                      label: 'Erase by law…',
                      icon: 'cross',
                      isDanger: true,
                      onSelect: () => act({ kind: 'erase', member: row }),
                      disabled: row.state !== 'suspended',
                    },
                  ]}
                />
              ),
          } satisfies Column<Member>,
        ]
      : []),
  ];
}

const invitationColumns: readonly Column<Invitation>[] = [
  {
    key: 'label',
    header: 'Invited',
    main: true,
    sort: (row) => row.label,
    cell: (row) => <Person label={row.label} sub={row.name ?? undefined} />,
  },
  { key: 'role', header: 'Role', fit: true, cell: (row) => roleWords[row.role] },
  {
    key: 'state',
    header: 'State',
    fit: true,
    cell: (row) => <GradeChip grade={invitationLook[row.state]} word={row.state} />,
  },
  { key: 'made', header: 'Made', fit: true, priority: 2, cell: (row) => <Ago at={row.createdAt} /> },
  {
    key: 'ends',
    header: 'Ends',
    fit: true,
    priority: 2,
    cell: (row) =>
      row.state === 'open' ? (
        <Deadline due={row.expiresAt} then="invite again" nearMs={3 * 3_600_000} />
      ) : (
        <Ago at={row.expiresAt} />
      ),
  },
];

/** Who works here: members, invitations, roles. Each change asks for the passkey. */
export function PeoplePage() {
  const { role } = useSession();
  const able = role === 'lead' || role === 'operator';
  const members = useMembers();
  const invitations = useQuery({
    queryKey: ['invitations'],
    queryFn: ({ signal }) => request<{ invitations: readonly Invitation[] }>('/api/access/invitations', { signal }),
    enabled: role !== 'client',
  });
  const [inviting, setInviting] = useState(false);
  const [act, setAct] = useState<Act>(null);
  const open = invitations.data?.invitations.filter((invitation) => invitation.state !== 'accepted') ?? [];
  return (
    <>
      <PageHead
        title="People"
        actions={
          able && (
            <Button look="primary" icon="plus" onClick={() => setInviting(true)}>
              Invite a person
            </Button>
          )
        }
      >
        Everybody of your organisation, and your clients’ contacts. Each change asks for your passkey and is recorded.
      </PageHead>
      {able && <Recoveries />}
      {members.error ? (
        <Failure error={members.error} />
      ) : (
        <DataTable
          label="Members"
          columns={columnsFor(able, setAct)}
          rows={members.data?.members}
          rowKey={(row) => row.id}
          whole
          empty={
            <Empty title="Nobody here">
              <p>That cannot be, since you are. Reload the page.</p>
            </Empty>
          }
        />
      )}
      <section className="section" aria-labelledby="invitations">
        <h2 id="invitations">Invitations</h2>
        {invitations.error ? (
          <Failure error={invitations.error} />
        ) : open.length === 0 ? (
          <p className="muted">None is open.</p>
        ) : (
          <DataTable
            label="Open invitations"
            columns={invitationColumns}
            rows={open}
            rowKey={(row) => row.id}
            whole
            empty={null}
          />
        )}
      </section>
      {role === 'lead' && (
        <Notice title="Client contacts see nothing by themselves">
          <p>Invite them here, then add them on the People tab of each engagement they may see.</p>
        </Notice>
      )}
      <InviteDialogs open={inviting} onClose={() => setInviting(false)} />
      <ActDialog act={act} onClose={() => setAct(null)} />
    </>
  );
}
