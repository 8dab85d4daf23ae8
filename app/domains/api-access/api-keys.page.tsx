import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Empty, Notice, PageHead } from '../../ui/display.tsx';
import { ChoiceField, TextField } from '../../ui/field.tsx';
import { toast } from '../../ui/overlay.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ApiKeysAnswer, MadeApiKey, ShownApiKey } from '../../shell/wire.ts';
import { endColumn, EndDialog, keyColumns } from './api-key-words.page.tsx';

const NAME_CHARACTERS_MAX = 80;
const DAYS = ['7', '30', '90'] as const;
type Days = (typeof DAYS)[number];

interface Draft {
  readonly name: string;
  readonly scope: ShownApiKey['scope'];
  readonly days: number;
}

/** What it is called, what it may, and until when: there is no key without an end. */
function NewKey({ onCreate }: { onCreate: (draft: Draft) => void }) {
  const [scope, setScope] = useState<Draft['scope']>('read');
  const [days, setDays] = useState<Days>('30');
  const [error, setError] = useState<string>();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget).get('name');
    const name = typeof typed === 'string' ? typed.trim() : '';
    setError(name === '' ? 'Say which program it is for: you will want to know when you end it.' : undefined);
    if (name !== '') onCreate({ name, scope, days: Number(days) });
  };
  return (
    <form className="form section" onSubmit={submit} aria-label="New API key" noValidate>
      <h2>New API key</h2>
      <TextField
        label="Name"
        name="name"
        maxLength={NAME_CHARACTERS_MAX}
        autoComplete="off"
        help="The program that it is for, for instance: Nightly export."
        error={error}
      />
      <ChoiceField
        label="It may"
        name="scope"
        value={scope}
        onChange={setScope}
        choices={[
          { value: 'read', label: 'Read', help: 'What you may read in your engagements.' },
          { value: 'write', label: 'Read and write', help: 'Nothing that asks you for your passkey.' },
        ]}
      />
      <ChoiceField
        label="It ends in"
        name="days"
        value={days}
        onChange={setDays}
        row
        choices={DAYS.map((value) => ({ value, label: `${value} days` }))}
      />
      <div className="form__actions">
        <Button look="primary" type="submit" icon="plus">
          Make a key…
        </Button>
      </div>
    </form>
  );
}

/** The one time that the key is seen. */
function Made({ made, onClose }: { made: MadeApiKey; onClose: () => void }) {
  return (
    <Notice kind="stale" title="Copy the key now: it is not shown again">
      <CodeBlock label="API key" code={made.key} wrap />
      <p>Send it as the header “Authorization: Bearer …”. Whoever has it can do what it may, in your name.</p>
      <Button onClick={onClose}>I have it</Button>
    </Notice>
  );
}

function useEnd() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => request<{ ended: boolean }>(`/api/api-keys/${id}/end`, { body: {} }),
    onSuccess: async () => {
      toast('Key ended', 'It works nowhere any more.');
      await client.invalidateQueries({ queryKey: ['api-keys'] });
    },
  });
}

/** The person's own API keys. */
export function ApiKeysPage() {
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft | null>(null);
  const [made, setMade] = useState<MadeApiKey | null>(null);
  const [ending, setEnding] = useState<ShownApiKey | null>(null);
  const end = useEnd();
  const list = useQuery({
    queryKey: ['api-keys'],
    queryFn: ({ signal }) => request<ApiKeysAnswer>('/api/api-keys', { signal }),
  });
  const columns: readonly Column<ShownApiKey>[] = [...keyColumns, endColumn(setEnding)];
  return (
    <>
      <PageHead title="Your API keys">
        For scripts and tools that work in your name. A key never does more than you may, and ends by itself, at the
        latest when you leave.
      </PageHead>
      <Failure error={list.error} />
      {made && <Made made={made} onClose={() => setMade(null)} />}
      {!list.error && (
        <DataTable
          label="Your API keys"
          columns={columns}
          rows={list.data?.keys}
          rowKey={({ id }) => id}
          empty={
            <Empty title="No API key">
              <p>Make one for a program that has to read or write here without you.</p>
            </Empty>
          }
        />
      )}
      {ending && <EndDialog apiKey={ending} end={end} onClose={() => setEnding(null)} />}
      {list.data && <NewKey onCreate={setDraft} />}
      {draft && (
        <StepUpDialog
          open
          onClose={() => setDraft(null)}
          operation="api-keys.create"
          input={draft}
          title={`Make the key “${draft.name}”`}
          confirm="Approve with passkey"
          effects={<p>Whoever has the key can act in your name within its bounds, until it ends.</p>}
          commit={(stepUp) => request<MadeApiKey>('/api/api-keys', { body: draft, stepUp })}
          onDone={(key) => {
            setDraft(null);
            setMade(key);
            void client.invalidateQueries({ queryKey: ['api-keys'] });
          }}
        />
      )}
    </>
  );
}
