import type { ComponentProps } from 'react';
import { Button } from '../../ui/button.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import type { Column } from '../../ui/table.tsx';
import { Ago, Instant } from '../../ui/time.tsx';
import type { ShownApiKey } from '../../shell/wire.ts';

type Grade = ComponentProps<typeof GradeChip>['grade'];

const STATES: Readonly<Record<ShownApiKey['state'], readonly [Grade, string]>> = {
  active: ['proven', 'Active'],
  expired: ['stale', 'Expired'],
  ended: ['asserted', 'Ended'],
};

const ENDED_BECAUSE: Readonly<Record<NonNullable<ShownApiKey['endedBecause']>, string>> = {
  owner: 'by its owner',
  administrator: 'by an administrator',
  revoked: 'its owner’s access ended',
  attempts: 'it tried other organisations’ data',
  review: 'not kept in an access review',
  'tenant-deleted': 'the organisation was deleted',
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
  { key: 'name', header: 'Name', main: true, cell: ({ name }) => <b>{name}</b>, sort: ({ name }) => name },
  { key: 'scope', header: 'May', priority: 3, cell: ({ scope }) => scopeWords[scope] },
  {
    key: 'used',
    header: 'Last used',
    priority: 2,
    cell: ({ lastUsedAt }) => (lastUsedAt ? <Ago at={lastUsedAt} /> : 'never'),
    sort: ({ lastUsedAt }) => lastUsedAt ?? '',
    fit: true,
  },
  {
    key: 'expires',
    header: 'Ends',
    priority: 2,
    cell: ({ expiresAt }) => <Instant at={expiresAt} />,
    sort: ({ expiresAt }) => expiresAt,
    fit: true,
  },
  { key: 'state', header: 'State', cell: (apiKey) => <StateCell apiKey={apiKey} />, fit: true },
];

interface Ending {
  readonly isPending: boolean;
  readonly mutate: (id: string) => void;
}

/** Ends a key that still works. Taking access away asks for no passkey. */
export function endColumn(end: Ending): Column<ShownApiKey> {
  return {
    key: 'end',
    header: 'End',
    quiet: true,
    fit: true,
    cell: ({ id, name, state }) =>
      state === 'active' && (
        <Button small aria-label={`End ${name}`} busy={end.isPending} onClick={() => end.mutate(id)}>
          End
        </Button>
      ),
  };
}
