import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Empty, Facts, Hash, Notice, PageHead, Tiles } from '../../ui/display.tsx';
import { Drawer } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { pollEvery } from '../../shell/problem.ts';
import type { KeyRingsAnswer } from '../../shell/wire.ts';
import { AssuranceChip, Diagnosis, HealthChip } from './key-words.page.tsx';

type Ring = KeyRingsAnswer['rings'][number];
const REFRESH_MS = 15_000;
/** Data keys are replaced before this; an older one means that rotation stands still. */
const AGE_DAYS_MAX = 90;

const ringKey = (ring: Ring): string => `${ring.tenant ?? ''} ${ring.kekRef ?? ring.fingerprint}`;
const owner = (ring: Ring): string => ring.tenant ?? 'This installation';

function columnsFor(open: (key: string) => void): readonly Column<Ring>[] {
  return [
    {
      key: 'owner',
      header: 'Whose',
      main: true,
      sort: owner,
      cell: (ring) => (
        <>
          <button type="button" className="row-link" onClick={() => open(ringKey(ring))}>
            {owner(ring)}
          </button>
          <span className="sub">
            {ring.provider}
            {ring.tenant === null && `, for ${ring.tenants} ${ring.tenants === 1 ? 'organisation' : 'organisations'}`}
          </span>
        </>
      ),
    },
    {
      key: 'health',
      header: 'State',
      fit: true,
      sort: (ring) => ring.health.state,
      cell: (ring) => <HealthChip health={ring.health} />,
    },
    {
      key: 'assurance',
      header: 'Promise',
      fit: true,
      priority: 2,
      sort: (ring) => ring.assurance,
      cell: (ring) => <AssuranceChip assurance={ring.assurance} />,
    },
    {
      key: 'keys',
      header: 'Data keys',
      align: 'right',
      fit: true,
      priority: 2,
      sort: (ring) => ring.dataKeys,
      cell: (ring) => <span className="num">{ring.dataKeys}</span>,
    },
    {
      key: 'oldest',
      header: 'Oldest that seals',
      fit: true,
      priority: 3,
      sort: (ring) => ring.oldestActiveDays,
      cell: (ring) => (
        <span className={`grade grade--${ring.oldestActiveDays > AGE_DAYS_MAX ? 'failing' : 'measured'}`}>
          {Math.floor(ring.oldestActiveDays)} days
        </span>
      ),
    },
    {
      key: 'unwrap',
      header: 'Opened last',
      fit: true,
      priority: 2,
      cell: (ring) => (ring.lastUnwrapAt ? <Ago at={ring.lastUnwrapAt} /> : <span className="muted">not yet</span>),
    },
  ];
}

const notCounted = ({ unseen }: Pick<Ring, 'unseen'>): string =>
  `${unseen} ${unseen === 1 ? 'organisation, whose database does' : 'organisations, whose databases do'} not answer`;

function RingDrawer({ ring, onClose }: { ring: Ring | undefined; onClose: () => void }) {
  return (
    <Drawer
      open={ring !== undefined}
      onClose={onClose}
      title={ring ? owner(ring) : ''}
      sub={ring && <HealthChip health={ring.health} />}
    >
      {ring && (
        <>
          {ring.health.state !== 'usable' && (
            <Notice kind={ring.health.state === 'unreachable' ? 'stale' : 'failing'} title="What is wrong">
              <Diagnosis health={ring.health} />
            </Notice>
          )}
          <Facts
            entries={[
              ['Provider', ring.provider],
              ['Promise', <AssuranceChip key="assurance" assurance={ring.assurance} />],
              ...(ring.kekRef ? [['Key', <Hash key="ref" text={ring.kekRef} />] as const] : []),
              ['Fingerprint', <Hash key="print" text={ring.fingerprint} />],
              ...(ring.unseen > 0 ? [['Not counted', notCounted(ring)] as const] : []),
              [
                'Data keys',
                `${ring.dataKeys} of ${ring.tenants} ${ring.tenants === 1 ? 'organisation' : 'organisations'}`,
              ],
              ...(ring.left > 0
                ? [
                    [
                      'Still under the store before',
                      `${ring.left} of ${ring.dataKeys}; the hourly round moves them`,
                    ] as const,
                  ]
                : []),
              ['Uses', `${ring.uses}, ${ring.refused} refused`],
              ...Object.entries(ring.details).map(([name, value]) => [name, String(value)] as const),
              ...(ring.health.checkedAt
                ? [['Last asked', <Ago key="asked" at={ring.health.checkedAt} />] as const]
                : []),
            ]}
          />
        </>
      )}
    </Drawer>
  );
}

/** Every key store in use, how it does and what to do about it, for the operator. No key is here, and no content. */
export function KeyRingsPage() {
  const [open, setOpen] = useState<string | null>(null);
  const { data, error } = useQuery({
    queryKey: ['key-rings'],
    queryFn: ({ signal }) => request<KeyRingsAnswer>('/api/operator/key-rings', { signal }),
    refetchInterval: pollEvery(REFRESH_MS),
  });
  const rings = data?.rings ?? [];
  const unseen = rings.reduce((sum, ring) => sum + ring.unseen, 0);
  const ill = rings.filter(({ health }) => health.state !== 'usable' && health.state !== 'unknown');
  return (
    <>
      <PageHead title="Key rings">
        Every key that protects data keys here: the installation’s own, and those that organisations have brought. An
        organisation that withdraws its key does so on purpose; an installation’s key that fails is yours to mend.
      </PageHead>
      {error && <Failure error={error} />}
      {data && (
        <Tiles
          entries={[
            ['key stores in use', rings.length],
            ['not usable now', ill.length],
            ['data keys', rings.reduce((sum, ring) => sum + ring.dataKeys, 0)],
            ['refused uses', rings.reduce((sum, ring) => sum + ring.refused, 0)],
          ]}
        />
      )}
      {unseen > 0 && (
        <Notice kind="stale" title={`Not counted: ${notCounted({ unseen })}`}>
          <p>Their data keys are missing from the numbers below. Everybody else’s are complete.</p>
        </Notice>
      )}
      {ill.map((ring) => (
        <Notice
          key={ringKey(ring)}
          kind={ring.health.state === 'unreachable' ? 'stale' : 'failing'}
          title={`${owner(ring)}: ${ring.health.state === 'withdrawn' ? 'the key is withdrawn' : ring.health.state === 'unreachable' ? 'the key store does not answer' : 'the key cannot be used'}`}
        >
          <Diagnosis health={ring.health} />
        </Notice>
      ))}
      {!error && (
        <DataTable
          label="Key rings"
          columns={columnsFor(setOpen)}
          rows={data?.rings}
          rowKey={ringKey}
          current={open}
          whole
          empty={
            <Empty title="No key store answers">
              <p>The installation’s own should stand here. Run the doctor; its first lines say what is missing.</p>
            </Empty>
          }
        />
      )}
      <RingDrawer ring={rings.find((ring) => ringKey(ring) === open)} onClose={() => setOpen(null)} />
    </>
  );
}
