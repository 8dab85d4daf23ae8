import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { useMembers } from '../../shell/names.ts';
import { roleWords } from '../../shell/session.tsx';
import { Button } from '../../ui/button.tsx';
import { Empty, Person } from '../../ui/display.tsx';
import { FilterSelect, TextField } from '../../ui/field.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import type { RulesView } from './contract.ts';

const NOWHERE = 'none';
export const rulesKey = ['rules'] as const;

function AddOffice() {
  const client = useQueryClient();
  const [label, setLabel] = useState('');
  const [error, setError] = useState<unknown>(null);
  const add = async (event: FormEvent) => {
    event.preventDefault();
    if (label.trim() === '') return;
    try {
      await request('/api/rules/offices', { body: { label: label.trim() } });
      setLabel('');
      setError(null);
      await client.invalidateQueries({ queryKey: rulesKey });
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <form className="form" onSubmit={(event) => void add(event)} noValidate>
      <TextField
        label="New office"
        help="A place, a team, a practice: whatever separates who may see what"
        value={label}
        maxLength={120}
        autoComplete="off"
        onChange={(event) => setLabel(event.target.value)}
      />
      <div className="form__actions">
        <Button type="submit" icon="plus" disabled={label.trim() === ''}>
          Add
        </Button>
      </div>
      <Failure error={error} />
    </form>
  );
}

interface Placed {
  readonly id: string;
  readonly label: string;
  readonly sub: string;
  readonly officeId: string | null;
}

function placedColumns(
  header: string,
  choices: readonly { value: string; label: string }[],
  change: (row: Placed, next: string) => void,
): readonly Column<Placed>[] {
  return [
    {
      key: 'what',
      header,
      main: true,
      sort: (row) => row.label,
      cell: (row) => (row.sub === '' ? row.label : <Person label={row.label} sub={row.sub} />),
    },
    {
      key: 'office',
      header: 'Office',
      fit: true,
      cell: (row) => (
        <FilterSelect
          label={`Office of ${row.label}`}
          value={row.officeId ?? NOWHERE}
          choices={choices}
          onChange={(next) => change(row, next)}
        />
      ),
    },
  ];
}

function PlacedTable(props: {
  label: string;
  rows: readonly Placed[];
  offices: RulesView['offices'];
  place: (row: Placed, officeId: string, belongs: boolean) => Promise<unknown>;
}) {
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const choices = [
    { value: NOWHERE, label: 'No office' },
    ...props.offices.map(({ id, label }) => ({ value: id, label })),
  ];
  const change = async (row: Placed, next: string) => {
    try {
      const officeId = next === NOWHERE ? row.officeId : next;
      if (officeId !== null) await props.place(row, officeId, next !== NOWHERE);
      setError(null);
      toast(`${row.label}: ${choices.find(({ value }) => value === next)?.label ?? ''}`);
    } catch (failure) {
      setError(failure);
    }
    await client.invalidateQueries({ queryKey: rulesKey });
  };
  return (
    <>
      <Failure error={error} />
      <DataTable
        label={props.label}
        rows={props.rows}
        rowKey={(row) => row.id}
        whole
        columns={placedColumns(props.label, choices, (row, next) => void change(row, next))}
        empty={
          <Empty title="Nothing to place yet">
            <p>It appears here as soon as there is something.</p>
          </Empty>
        }
      />
    </>
  );
}

/** Offices, and who and what belongs to them: what rules compare. */
export function Offices({ view }: { view: RulesView }) {
  const members = useMembers();
  const placeOf = new Map(view.people.map(({ memberId, officeId }) => [memberId, officeId]));
  const people = (members.data?.members ?? []).map((member) => ({
    id: member.id,
    label: member.label,
    sub: roleWords[member.role],
    officeId: placeOf.get(member.id) ?? null,
  }));
  const engagements = view.engagements.map(({ id, title, officeId }) => ({ id, label: title, sub: '', officeId }));
  return (
    <section className="section" aria-labelledby="offices">
      <h2 id="offices">Offices</h2>
      <p className="muted">
        Rules compare <code>principal.office</code> with <code>resource.office</code>. Names of offices are sealed.
      </p>
      <AddOffice />
      {view.offices.length > 0 && (
        <>
          <PlacedTable
            label="People"
            rows={people}
            offices={view.offices}
            place={(row, officeId, belongs) =>
              request(`/api/rules/offices/${officeId}/people`, { body: { memberId: row.id, belongs } })
            }
          />
          <PlacedTable
            label="Engagements"
            rows={engagements}
            offices={view.offices}
            place={(row, officeId, belongs) =>
              request(`/api/rules/offices/${officeId}/engagements`, { body: { engagementId: row.id, belongs } })
            }
          />
        </>
      )}
    </section>
  );
}
