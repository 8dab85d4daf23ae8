import { useState, type FormEvent } from 'react';
import { Button, IconButton } from '../../ui/button.tsx';
import { FilterSelect } from '../../ui/field.tsx';
import type { Deed } from '../../shell/deed.tsx';
import type { Connection } from '../../shell/wire.ts';
import { deedOn } from './connection-words.page.tsx';
import { profileWords } from './profile-words.ts';

type Mapping = Connection['groupMap'][number];
const ROLES = [
  { value: 'lead', label: 'Lead' },
  { value: 'auditor', label: 'Auditor' },
  { value: 'client', label: 'Client contact' },
] as const;

interface RowProps {
  readonly mapping: Mapping;
  readonly index: number;
  readonly onChange: (next: Mapping) => void;
  readonly onRemove: () => void;
}

function GroupRow({ mapping, index, onChange, onRemove }: RowProps) {
  const nth = `group ${index + 1}`;
  return (
    <tr>
      <td className="main-cell">
        <input
          className="input"
          aria-label={`Id of ${nth}`}
          value={mapping.group}
          maxLength={256}
          spellCheck={false}
          onChange={(event) => onChange({ ...mapping, group: event.target.value })}
        />
      </td>
      <td className="p2">
        <input
          className="input"
          aria-label={`Name of ${nth}`}
          value={mapping.name ?? ''}
          maxLength={80}
          onChange={(event) => onChange({ ...mapping, name: event.target.value === '' ? null : event.target.value })}
        />
      </td>
      <td className="fit">
        <FilterSelect
          label={`Role of ${nth}`}
          value={mapping.role}
          choices={ROLES}
          onChange={(role) => onChange({ ...mapping, role })}
        />
      </td>
      <td className="fit">
        <IconButton icon="cross" label={`Remove ${nth}`} onClick={onRemove} />
      </td>
    </tr>
  );
}

/** Groups that the last test sign-in named and that are not mapped: one click instead of typing an id. */
function unmapped(connection: Connection, rows: readonly Mapping[]): readonly string[] {
  const last = connection.attempts.find(({ purpose, outcome }) => purpose === 'test' && outcome === 'accepted');
  return (last?.groups ?? []).filter((group) => !rows.some((row) => row.group === group));
}

function GroupTable({ rows, onChange }: { rows: readonly Mapping[]; onChange: (rows: readonly Mapping[]) => void }) {
  return (
    <div className="grid-box grid-box--whole">
      <table className="grid">
        <caption className="vh">Groups and their roles</caption>
        <thead>
          <tr>
            <th scope="col">Id at the provider</th>
            <th scope="col" className="p2">
              Called
            </th>
            <th scope="col">Role here</th>
            <th scope="col">
              <span className="vh">Remove</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <GroupRow
              // The id is being typed, so only the place tells one row from another.
              key={index}
              mapping={row}
              index={index}
              onChange={(next) => onChange(rows.with(index, next))}
              onRemove={() => onChange(rows.toSpliced(index, 1))}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Which group gives which role, by the group's id. */
export function ConnectionGroups({ connection, onDeed }: { connection: Connection; onDeed: (deed: Deed) => void }) {
  const [rows, setRows] = useState<readonly Mapping[]>(connection.groupMap);
  const add = (group: string) => setRows([...rows, { group, name: null, role: 'auditor' }]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const groups = rows.map(({ group, name, role }) => ({ group: group.trim(), name: name?.trim() || null, role }));
    onDeed(
      deedOn(connection, {
        operation: 'connections.map-groups',
        part: '/groups',
        body: { groups: groups.filter(({ group }) => group !== '') },
        title: 'Map the groups',
        effects:
          'Takes effect at each person’s next sign-in. Whoever is in several groups has the highest role; where the provider names no groups, nobody’s role changes.',
      }),
    );
  };
  const isChanged = JSON.stringify(rows) !== JSON.stringify(connection.groupMap);
  const offered = unmapped(connection, rows);
  return (
    <form className="stack" aria-label="Groups" onSubmit={submit} noValidate>
      {rows.length === 0 ? (
        <p className="muted">
          {connection.kind === 'oidc' && profileWords[connection.profile].oidc.groupsClaim === null
            ? 'A sign-in names no groups here: roles are as you give them under People, unless a directory of this connection sends groups.'
            : 'No group gives a role yet. Roles are then as you give them under People.'}
        </p>
      ) : (
        <GroupTable rows={rows} onChange={setRows} />
      )}
      {offered.length > 0 && (
        <div className="row">
          <span className="muted">In the last test:</span>
          {offered.slice(0, 8).map((group) => (
            <Button key={group} small icon="plus" onClick={() => add(group)}>
              {group}
            </Button>
          ))}
        </div>
      )}
      <div className="form__actions">
        <Button look={isChanged ? 'primary' : 'plain'} type="submit">
          Save the mapping…
        </Button>
        <Button icon="plus" onClick={() => add('')}>
          Add a group
        </Button>
      </div>
    </form>
  );
}
