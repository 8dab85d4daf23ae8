import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Button, IconButton, Tag } from '../../ui/button.tsx';
import { Empty, Notice, PageHead } from '../../ui/display.tsx';
import { GradeChip } from '../../ui/grade.tsx';
import { Menu } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { pollEvery } from '../../shell/problem.ts';
import type { DeletionsAnswer, MovesAnswer, TenantsAnswer } from '../../shell/wire.ts';
import { DeletionCard, stateWords } from './deletion-card.page.tsx';
import { MoveCard } from './move-card.page.tsx';
import { MoveTenant } from './move-tenant.page.tsx';
import { NewTenant } from './new-tenant.page.tsx';
import { placeText, placeWords } from './place-words.page.tsx';
import { ProposeDeletion } from './propose-deletion.page.tsx';

type Tenant = TenantsAnswer['tenants'][number];
type Deletion = DeletionsAnswer['deletions'][number];
type Move = MovesAnswer['moves'][number];
/** What the operator is asked about now. */
type Asked = { readonly kind: 'move' | 'delete'; readonly tenant: Tenant } | { readonly kind: 'new' };
/** The operator's own tenant and the canaries stay where they are. */
const movable: ReadonlySet<Tenant['kind']> = new Set(['customer', 'sample']);
const MOVING: ReadonlySet<Move['state']> = new Set(['requested', 'moving', 'cancelling']);
/** Rows are counted many times a second while they are carried. */
const MOVE_REFRESH_MS = 1_000;
/** A countdown that somebody may still stop is looked at often. */
const REFRESH_MS = 10_000;
const OVER: ReadonlySet<Deletion['state']> = new Set(['destroyed', 'cancelled']);

const kindWords: Readonly<Record<Tenant['kind'], string>> = {
  customer: 'organisation',
  sample: 'sample',
  canary: 'canary, attacked each minute',
  operator: 'operators of this installation',
};

interface UnderWayNow {
  readonly deletion: ReadonlyMap<string, Deletion>;
  readonly move: ReadonlyMap<string, Move>;
}

function placeColumn(moving: UnderWayNow['move']): Column<Tenant> {
  return {
    key: 'place',
    header: 'Lives in',
    sort: (row) => placeText(row.place),
    cell: (row) => {
      const move = moving.get(row.slug);
      return (
        <>
          {placeWords[row.place.kind]}
          <span className="sub">{move ? `moving to ${placeText(move.to)}` : row.place.region}</span>
        </>
      );
    },
  };
}

function actionsColumn({ deletion: running, move: moving }: UnderWayNow, ask: (asked: Asked) => void): Column<Tenant> {
  return {
    key: 'actions',
    header: 'Actions',
    quiet: true,
    fit: true,
    cell: (row) => (
      <Menu
        trigger={<IconButton icon="more" label={`Actions for ${row.name}`} small />}
        entries={[
          {
            label: 'Move it…',
            disabled: !movable.has(row.kind) || moving.has(row.slug) || running.has(row.slug),
            onSelect: () => ask({ kind: 'move', tenant: row }),
          },
          {
            label: 'Delete this organisation…',
            disabled: running.has(row.slug) || moving.has(row.slug),
            onSelect: () => ask({ kind: 'delete', tenant: row }),
          },
        ]}
      />
    ),
  };
}

function columnsFor(under: UnderWayNow, ask: (asked: Asked) => void): readonly Column<Tenant>[] {
  const { deletion: running, move: moving } = under;
  return [
    {
      key: 'name',
      header: 'Organisation',
      main: true,
      sort: (row) => row.name,
      cell: (row) => (
        <>
          <b>{row.name}</b>
          <span className="sub mono">{row.slug}</span>
        </>
      ),
    },
    {
      key: 'kind',
      header: 'Kind',
      fit: true,
      priority: 2,
      sort: (row) => row.kind,
      cell: (row) => kindWords[row.kind],
    },
    {
      key: 'tier',
      header: 'Tier',
      fit: true,
      sort: (row) => row.tier,
      cell: (row) => <Tag accent={row.tier === 'enterprise'}>{row.tier}</Tag>,
    },
    placeColumn(moving),
    {
      key: 'created',
      header: 'Since',
      fit: true,
      priority: 2,
      sort: (row) => row.createdAt,
      cell: (row) => <Ago at={row.createdAt} />,
    },
    {
      key: 'deletion',
      header: 'Deletion',
      priority: 2,
      fit: true,
      cell: (row) => {
        const deletion = running.get(row.slug);
        if (!deletion) return <span className="muted">none</span>;
        const [look, word] = stateWords[deletion.state];
        return <GradeChip grade={look} word={word} boxed />;
      },
    },
    actionsColumn(under, ask),
  ];
}

/** What has ended: looked up, not watched. */
function Ended({ moves, deletions }: { moves: readonly Move[]; deletions: readonly Deletion[] }) {
  if (moves.length + deletions.length === 0) return null;
  return (
    <section className="section" aria-labelledby="ended">
      <h2 id="ended">Ended</h2>
      {moves.map((move) => (
        <MoveCard key={move.id} move={move} />
      ))}
      {deletions.map((deletion) => (
        <DeletionCard key={deletion.id} deletion={deletion} />
      ))}
    </section>
  );
}

function UnderWay({ moves, deletions }: { moves: readonly Move[]; deletions: DeletionsAnswer | undefined }) {
  const open = (deletions?.deletions ?? []).filter(({ state }) => !OVER.has(state));
  return (
    <>
      {moves.length > 0 && (
        <section className="section" aria-labelledby="moving">
          <h2 id="moving">Moves under way</h2>
          {moves.map((move) => (
            <MoveCard key={move.id} move={move} />
          ))}
        </section>
      )}
      {open.length > 0 && (
        <section className="section" aria-labelledby="under-way">
          <h2 id="under-way">Deletions under way</h2>
          {deletions?.delay.isShortened && (
            <Notice kind="stale" title="The delay is cut short here">
              <p>
                Only the sample is at stake in this installation. With real organisations a deletion waits for days.
              </p>
            </Notice>
          )}
          {open.map((deletion) => (
            <DeletionCard key={deletion.id} deletion={deletion} />
          ))}
        </section>
      )}
    </>
  );
}

/** Organisations of this installation, for operators: where each lives, moving it, creating and deleting one. */
export function TenantsPage() {
  const [asked, setAsked] = useState<Asked | null>(null);
  const tenants = useQuery({
    queryKey: ['tenants', 'list'],
    queryFn: ({ signal }) => request<TenantsAnswer>('/api/tenants', { signal }),
    // A move that ends changes where somebody lives.
    refetchInterval: pollEvery(REFRESH_MS),
  });
  const deletions = useQuery({
    queryKey: ['tenants', 'deletions'],
    queryFn: ({ signal }) => request<DeletionsAnswer>('/api/tenants/deletions', { signal }),
    refetchInterval: pollEvery(REFRESH_MS),
  });
  const moves = useQuery({
    queryKey: ['tenants', 'moves'],
    queryFn: ({ signal }) => request<MovesAnswer>('/api/tenants/moves', { signal }),
    refetchInterval: (query) =>
      pollEvery(query.state.data?.moves.some((move) => MOVING.has(move.state)) ? MOVE_REFRESH_MS : REFRESH_MS)(query),
  });
  const moving = (moves.data?.moves ?? []).filter(({ state }) => MOVING.has(state));
  const ended = (moves.data?.moves ?? []).filter(({ state }) => !MOVING.has(state));
  const all = deletions.data?.deletions ?? [];
  const under = {
    // What was destroyed stays so: it is neither moved nor deleted again.
    deletion: new Map(all.filter(({ state }) => state !== 'cancelled').map((one) => [one.tenant.slug, one])),
    move: new Map(moving.map((move) => [move.tenant.slug, move])),
  };
  const close = () => setAsked(null);
  return (
    <>
      <PageHead
        title="Organisations"
        actions={
          <Button look="primary" icon="plus" onClick={() => setAsked({ kind: 'new' })}>
            New organisation
          </Button>
        }
      >
        Who uses this installation, and where their data lives. You see names and states here, never content. Deleting
        one destroys its keys, so that what is stored, backups included, can never be opened again.
      </PageHead>
      <Failure error={tenants.error ?? deletions.error ?? moves.error} />
      <UnderWay moves={moving} deletions={deletions.data} />
      {!tenants.error && (
        <section className="section" aria-labelledby="everybody">
          <h2 id="everybody">Everybody here</h2>
          <DataTable
            label="Organisations hosted here"
            columns={columnsFor(under, setAsked)}
            rows={tenants.data?.tenants}
            rowKey={(row) => row.slug}
            whole
            empty={
              <Empty title="No organisation yet">
                <p>Create the first one: you choose where it lives, its first lead gets a link.</p>
              </Empty>
            }
          />
        </section>
      )}
      <Ended moves={ended} deletions={all.filter(({ state }) => OVER.has(state))} />
      {asked?.kind === 'delete' && <ProposeDeletion slug={asked.tenant.slug} onClose={close} />}
      {asked?.kind === 'move' && <MoveTenant tenant={asked.tenant} onClose={close} />}
      {asked?.kind === 'new' && (
        <NewTenant taken={new Set(tenants.data?.tenants.map(({ slug }) => slug))} onClose={close} />
      )}
    </>
  );
}
