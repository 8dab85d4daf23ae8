import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { IconButton, Tag } from '../../ui/button.tsx';
import { Empty, Notice, PageHead } from '../../ui/display.tsx';
import { Menu } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { DeletionsAnswer, TenantsAnswer } from '../../shell/wire.ts';
import { DeletionCard, stateWords } from './deletion-card.page.tsx';
import { ProposeDeletion } from './propose-deletion.page.tsx';

type Tenant = TenantsAnswer['tenants'][number];
type Deletion = DeletionsAnswer['deletions'][number];
/** A countdown that somebody may still stop is looked at often. */
const REFRESH_MS = 10_000;
const OVER: ReadonlySet<Deletion['state']> = new Set(['destroyed', 'cancelled']);

const kindWords: Readonly<Record<Tenant['kind'], string>> = {
  customer: 'organisation',
  sample: 'sample',
  canary: 'canary, attacked each minute',
  operator: 'operators of this installation',
};

function columnsFor(
  running: ReadonlyMap<string, Deletion>,
  propose: (tenant: Tenant) => void,
): readonly Column<Tenant>[] {
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
      fit: true,
      cell: (row) => {
        const deletion = running.get(row.slug);
        if (!deletion) return <span className="muted">none</span>;
        const [look, word] = stateWords[deletion.state];
        return <span className={`grade grade--boxed grade--${look}`}>{word}</span>;
      },
    },
    {
      key: 'actions',
      header: 'Actions',
      quiet: true,
      fit: true,
      cell: (row) => (
        <Menu
          trigger={<IconButton icon="more" label={`Actions for ${row.name}`} small />}
          entries={[
            { label: 'Delete this organisation…', disabled: running.has(row.slug), onSelect: () => propose(row) },
          ]}
        />
      ),
    },
  ];
}

/** Organisations of this installation and their deletion, for operators: shown first, by two people, after a delay. */
export function TenantsPage() {
  const [proposing, setProposing] = useState<Tenant | null>(null);
  const tenants = useQuery({
    queryKey: ['tenants', 'list'],
    queryFn: ({ signal }) => request<TenantsAnswer>('/api/tenants', { signal }),
  });
  const deletions = useQuery({
    queryKey: ['tenants', 'deletions'],
    queryFn: ({ signal }) => request<DeletionsAnswer>('/api/tenants/deletions', { signal }),
    refetchInterval: REFRESH_MS,
  });
  const all = deletions.data?.deletions ?? [];
  const open = all.filter(({ state }) => !OVER.has(state));
  const over = all.filter(({ state }) => OVER.has(state));
  const running = new Map(open.map((deletion) => [deletion.tenant.slug, deletion]));
  return (
    <>
      <PageHead title="Organisations">
        Who uses this installation. You see names and states here, never content. Deleting one destroys its keys, so
        that what is stored, backups included, can never be opened again.
      </PageHead>
      <Failure error={tenants.error ?? deletions.error} />
      {open.length > 0 && (
        <section className="section" aria-labelledby="under-way">
          <h2 id="under-way">Deletions under way</h2>
          {deletions.data?.delay.isShortened && (
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
      {!tenants.error && (
        <DataTable
          label="Organisations hosted here"
          columns={columnsFor(running, setProposing)}
          rows={tenants.data?.tenants}
          rowKey={(row) => row.slug}
          whole
          empty={
            <Empty title="No organisation yet">
              <p>One stands here once it has been set up.</p>
            </Empty>
          }
        />
      )}
      {over.length > 0 && (
        <section className="section" aria-labelledby="ended">
          <h2 id="ended">Ended deletions</h2>
          {over.map((deletion) => (
            <DeletionCard key={deletion.id} deletion={deletion} />
          ))}
        </section>
      )}
      {proposing && <ProposeDeletion slug={proposing.slug} onClose={() => setProposing(null)} />}
    </>
  );
}
