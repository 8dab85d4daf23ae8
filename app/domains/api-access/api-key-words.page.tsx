import type { ComponentProps } from 'react';
import { Button } from '../../ui/button.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { ConfirmDialog } from '../../shell/confirm.tsx';
import type { Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import type { ShownApiKey } from '../../shell/wire.ts';

type Grade = ComponentProps<typeof GradeChip>['grade'];

const STATES: Readonly<Record<ShownApiKey['state'], readonly [Grade, string]>> = {
  active: ['proven', 'Active'],
  expired: ['stale', 'Expired'],
  ended: ['asserted', 'Ended'],
};

const ENDED_BECAUSE: Readonly<Record<NonNullable<ShownApiKey['endedBecause']>, string>> = {
  owner: 'By its owner',
  administrator: 'By an administrator',
  revoked: 'Its owner’s access ended',
  attempts: 'It tried other organisations’ data',
  review: 'Not kept in an access review',
  'tenant-deleted': 'The organisation was deleted',
};

export const scopeWords: Readonly<Record<ShownApiKey['scope'], string>> = {
  read: 'Reads',
  write: 'Reads and writes',
};

function StateCell({ apiKey }: { apiKey: ShownApiKey }) {
  const [grade, word] = STATES[apiKey.state];
  return (
    <span>
      <GradeChip grade={grade} word={word} />
      {apiKey.endedBecause && <span className="sub">{ENDED_BECAUSE[apiKey.endedBecause]}</span>}
    </span>
  );
}

/** What is shown of every key, to its owner and to who leads. */
export const keyColumns: readonly Column<ShownApiKey>[] = [
  { key: 'name', header: 'Name', main: true, cell: ({ name }) => name, sort: ({ name }) => name },
  { key: 'scope', header: 'May', priority: 3, cell: ({ scope }) => scopeWords[scope] },
  {
    key: 'used',
    header: 'Last used',
    priority: 2,
    cell: ({ lastUsedAt }) => (lastUsedAt ? <Ago at={lastUsedAt} /> : <span className="muted">never</span>),
    sort: ({ lastUsedAt }) => lastUsedAt ?? '',
    fit: true,
  },
  {
    key: 'expires',
    header: 'Ends',
    priority: 2,
    cell: ({ expiresAt }) => <Ago at={expiresAt} />,
    sort: ({ expiresAt }) => expiresAt,
    fit: true,
  },
  { key: 'state', header: 'State', cell: (apiKey) => <StateCell apiKey={apiKey} />, fit: true },
];

/** Ends a key that still works, once it has been asked. Taking access away asks for no passkey. */
export function endColumn(ask: (apiKey: ShownApiKey) => void): Column<ShownApiKey> {
  return {
    key: 'end',
    header: 'End',
    quiet: true,
    fit: true,
    cell: (apiKey) =>
      apiKey.state === 'active' && (
        <Button small look="danger" aria-label={`End ${apiKey.name}…`} onClick={() => ask(apiKey)}>
          End…
        </Button>
      ),
  };
}

interface Ending {
  readonly isPending: boolean;
  readonly error: unknown;
  readonly mutate: (id: string, options: { onSuccess: () => void }) => void;
  readonly reset: () => void;
}

/** Says what ending a key does, and ends it. */
export function EndDialog({ apiKey, end, onClose }: { apiKey: ShownApiKey; end: Ending; onClose: () => void }) {
  const close = () => {
    end.reset();
    onClose();
  };
  return (
    <ConfirmDialog
      title={`End the key “${apiKey.name}”`}
      effects={
        <p>Programs that use it are refused from their next request on. A key that ended cannot be brought back.</p>
      }
      confirm="End the key"
      busy={end.isPending}
      error={end.error}
      onConfirm={() => end.mutate(apiKey.id, { onSuccess: close })}
      onClose={close}
    />
  );
}
