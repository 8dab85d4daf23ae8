import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Button } from '../../ui/button.tsx';
import { Empty, PageHead } from '../../ui/display.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { ApiGrant, ApiGrants } from '../../shell/wire.ts';
import { accessPhrases } from './access-phrases.ts';

/** Whom the program may hand work to, and when each last did any. */
function Agents({ of: { agents } }: { of: ApiGrant }) {
  if (agents.length === 0) return <span className="muted">none</span>;
  return (
    <>
      {agents.map(({ name, lastActedAt }) => (
        <span key={name}>
          {name}
          <span className="sub">
            {lastActedAt === null ? (
              'has not acted yet'
            ) : (
              <>
                acted <Ago at={lastActedAt} />
              </>
            )}
          </span>
        </span>
      ))}
    </>
  );
}

function columnsFor(
  isEnding: (grant: ApiGrant) => boolean,
  onEnd: (grant: ApiGrant) => void,
): readonly Column<ApiGrant>[] {
  return [
    {
      key: 'client',
      header: 'Program',
      main: true,
      cell: (grant) => (
        <span>
          <b>{grant.client}</b>
          <span className="sub">{accessPhrases[grant.access]}</span>
        </span>
      ),
    },
    { key: 'agents', header: 'Agents it may use', cell: (grant) => <Agents of={grant} /> },
    { key: 'given', header: 'Since', fit: true, priority: 2, cell: (grant) => <Ago at={grant.givenAt} /> },
    { key: 'until', header: 'Until', fit: true, priority: 3, cell: (grant) => <Ago at={grant.expiresAt} /> },
    {
      key: 'end',
      header: 'End',
      quiet: true,
      fit: true,
      cell: (grant) => (
        <Button
          small
          aria-label={`End what ${grant.client} may do`}
          busy={isEnding(grant)}
          onClick={() => onEnd(grant)}
        >
          End
        </Button>
      ),
    },
  ];
}

/** What the person has allowed programs, and the end of it. */
export function ApiGrantsPage() {
  const client = useQueryClient();
  const list = useQuery({
    queryKey: ['api-grants'],
    queryFn: ({ signal }) => request<ApiGrants>('/api/authorisation-server/grants', { signal }),
  });
  const end = useMutation({
    mutationFn: ({ id }: ApiGrant) => request(`/api/authorisation-server/grants/${id}/end`, { body: {} }),
    onSuccess: async () => {
      toast('Ended', 'The program can do nothing in your name any more.');
      await client.invalidateQueries({ queryKey: ['api-grants'] });
    },
  });
  const columns = columnsFor(({ id }) => end.isPending && end.variables.id === id, end.mutate);
  return (
    <>
      <PageHead title="Your programs">
        Programs and agents that you let work in your name. None of them may do more than you, and none approves
        anything that asks for your passkey.
      </PageHead>
      <Failure error={list.error ?? end.error} />
      {!list.error && (
        <DataTable
          label="Your programs"
          columns={columns}
          rows={list.data?.grants}
          rowKey={({ id }) => id}
          whole
          empty={
            <Empty title="No program works in your name">
              <p>When you allow one, it stands here with an end to it.</p>
            </Empty>
          }
        />
      )}
    </>
  );
}
