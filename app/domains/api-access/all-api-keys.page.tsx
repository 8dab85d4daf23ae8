import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Empty, PageHead } from '../../ui/display.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { AllApiKeysAnswer, ShownApiKey, ShownApiKeyOfAll } from '../../shell/wire.ts';
import { endColumn, EndDialog, keyColumns } from './api-key-words.page.tsx';

/** Every key of the organisation: whose it is, when it was last used, and a way to end it. */
export function AllApiKeysPage() {
  const client = useQueryClient();
  const list = useQuery({
    queryKey: ['api-keys', 'all'],
    queryFn: ({ signal }) => request<AllApiKeysAnswer>('/api/api-keys/all', { signal }),
  });
  const end = useMutation({
    mutationFn: (id: string) => request<{ ended: boolean }>(`/api/api-keys/${id}/end-any`, { body: {} }),
    onSuccess: async () => {
      toast('Key ended', 'It works nowhere any more. Its owner sees that it was ended.');
      await client.invalidateQueries({ queryKey: ['api-keys'] });
    },
  });
  const [ending, setEnding] = useState<ShownApiKey | null>(null);
  const columns: readonly Column<ShownApiKeyOfAll>[] = [
    ...keyColumns.slice(0, 1),
    { key: 'owner', header: 'Owner', cell: ({ owner }) => owner, sort: ({ owner }) => owner },
    ...keyColumns.slice(1),
    endColumn(setEnding),
  ];
  return (
    <>
      <PageHead title="API keys">
        Keys that people made for scripts and tools. Each ends within 90 days, and with its owner’s access.
      </PageHead>
      <Failure error={list.error} />
      {ending && <EndDialog apiKey={ending} end={end} onClose={() => setEnding(null)} />}
      {!list.error && (
        <DataTable
          label="API keys of everybody"
          columns={columns}
          rows={list.data?.keys}
          rowKey={({ id }) => id}
          empty={
            <Empty title="No API key">
              <p>Nobody here has made one.</p>
            </Empty>
          }
        />
      )}
    </>
  );
}
