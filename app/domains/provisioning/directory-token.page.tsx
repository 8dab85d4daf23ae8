import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Empty } from '../../ui/display.tsx';
import { ChoiceField } from '../../ui/field.tsx';
import { Dialog } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago, Deadline } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import type { Deed } from '../../shell/deed.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { Directory, IssuedToken } from '../../shell/wire.ts';
import { TokenChip, type DirectoryToken } from './directory-words.page.tsx';

const LIVES = [
  { value: '90', label: '90 days' },
  { value: '180', label: 'Half a year' },
  { value: '365', label: 'A year' },
] as const;

/** The token, shown this once: here only its hash is kept. */
function IssuedDialog({ issued, onClose }: { issued: IssuedToken; onClose: () => void }) {
  return (
    <Dialog
      open
      onClose={onClose}
      title="Your directory’s token"
      description="Paste it at your provider. It is shown this once; here only a hash of it is kept."
      foot={
        <Button look="primary" onClick={onClose}>
          I have pasted it
        </Button>
      }
    >
      <CodeBlock label="token" code={issued.token} wrap />
      <p className="muted">
        <Deadline due={issued.expiresAt} then="messages with it are refused: make the next one before" />
      </p>
    </Dialog>
  );
}

/** How long the token lives, its approval, and the token itself. */
function NewToken({
  connectionId,
  onClose,
  onMade,
}: {
  connectionId: string;
  onClose: () => void;
  onMade: () => void;
}) {
  const [life, setLife] = useState<(typeof LIVES)[number]['value']>('180');
  const [isAsked, setIsAsked] = useState(false);
  const [issued, setIssued] = useState<IssuedToken | null>(null);
  if (issued !== null) return <IssuedDialog issued={issued} onClose={onClose} />;
  const body = { days: Number(life) };
  if (isAsked)
    return (
      <StepUpDialog
        open
        onClose={onClose}
        operation="provisioning.issue-token"
        input={{ connectionId, ...body }}
        title="Make a token"
        confirm="Approve with passkey"
        effects={
          <p>
            Whoever holds it says who belongs to your organisation by this connection, and who has left. It gives nobody
            a session.
          </p>
        }
        commit={(stepUp) => request<IssuedToken>(`/api/connections/${connectionId}/tokens`, { body, stepUp })}
        onDone={(made) => {
          setIssued(made);
          onMade();
        }}
      />
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title="New token"
      description="Two may be in use at a time: paste the new one at your provider, see it used here, then end the old one."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" onClick={() => setIsAsked(true)}>
            Go on to approval
          </Button>
        </>
      }
    >
      <ChoiceField label="Ends after" name="life" value={life} onChange={setLife} choices={LIVES} />
    </Dialog>
  );
}

function endOf(connectionId: string, token: DirectoryToken): Deed {
  return {
    operation: 'provisioning.end-token',
    path: `/api/connections/${connectionId}/tokens/${token.id}/end`,
    input: { connectionId, tokenId: token.id },
    body: {},
    title: 'End this token',
    isDanger: true,
    effects: 'From then on messages with it are refused. If no other is in use, nobody is told who leaves.',
  };
}

function columnsOf(onEnd: (token: DirectoryToken) => void): readonly Column<DirectoryToken>[] {
  return [
    { key: 'made', header: 'Made', main: true, cell: ({ createdAt }) => <Ago at={createdAt} /> },
    {
      key: 'used',
      header: 'Last message',
      cell: ({ usedAt }) => (usedAt === null ? <span className="muted">none yet</span> : <Ago at={usedAt} />),
    },
    { key: 'ends', header: 'Ends', priority: 2, cell: ({ expiresAt }) => <Ago at={expiresAt} /> },
    { key: 'state', header: 'State', fit: true, cell: ({ state }) => <TokenChip state={state} /> },
    {
      key: 'end',
      header: 'End',
      quiet: true,
      fit: true,
      cell: (token) =>
        token.state === 'live' && (
          <Button small onClick={() => onEnd(token)}>
            End…
          </Button>
        ),
    },
  ];
}

interface TokensProps {
  readonly connectionId: string;
  readonly directory: Directory;
  /** Nobody has tried the connection yet, so nobody's directory speaks for it. */
  readonly isDraft: boolean;
  readonly onDeed: (deed: Deed) => void;
  readonly onMade: () => void;
}

/** The tokens by which the directory speaks: made, seen used, ended. */
export function DirectoryTokens({ connectionId, directory, isDraft, onDeed, onMade }: TokensProps) {
  const [isOpen, setIsOpen] = useState(false);
  const live = directory.tokens.filter(({ state }) => state === 'live');
  const isFull = live.length >= directory.tokensMax;
  return (
    <>
      <DataTable
        label="Tokens of the directory"
        columns={columnsOf((token) => onDeed(endOf(connectionId, token)))}
        rows={directory.tokens}
        rowKey={({ id }) => id}
        whole
        empty={
          <Empty title="No token yet">
            <p>Your directory speaks to this address with a token of its own. Make one and paste it there.</p>
          </Empty>
        }
      />
      <div className="row">
        <Button
          look={live.length === 0 && !isDraft ? 'primary' : 'plain'}
          icon="plus"
          disabled={isFull || isDraft}
          onClick={() => setIsOpen(true)}
        >
          New token…
        </Button>
        {isDraft && <span className="muted">First switch the connection on.</span>}
        {isFull && <span className="muted">Two are in use: end one first.</span>}
      </div>
      {isOpen && <NewToken connectionId={connectionId} onClose={() => setIsOpen(false)} onMade={onMade} />}
    </>
  );
}
