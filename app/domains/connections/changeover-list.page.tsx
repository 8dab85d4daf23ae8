import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Hash, Notice } from '../../ui/display.tsx';
import { ChoiceField, TextArea } from '../../ui/field.tsx';
import { DataTable, type Column } from '../../ui/table.tsx';
import { request } from '../../shell/api.ts';
import type { Deed } from '../../shell/deed.tsx';
import { Failure } from '../../shell/failure.tsx';
import type { AccountSuggestions } from '../../shell/wire.ts';

type Suggestion = AccountSuggestions['suggestions'][number];
type By = 'subject' | 'email';
/** Of one approval: as many as the server takes, and as somebody reads. */
const PAIRS_MAX = 50;

const whyWords = {
  nobody: 'names nobody of the old connection',
  several: 'names several people, or is there twice',
  moved: 'names somebody who has an account there already',
} as const;

const columns: readonly Column<Suggestion>[] = [
  { key: 'person', header: 'Person here', main: true, cell: ({ label }) => <b>{label}</b> },
  { key: 'subject', header: 'At the new provider', cell: ({ subject }) => <Hash text={subject} /> },
];

function approvalOf(suggestions: readonly Suggestion[]): Deed {
  const body = { pairs: suggestions.map(({ person, subject }) => ({ person, subject })) };
  return {
    operation: 'connections.approve-accounts',
    path: '/api/changeover/accounts',
    input: body,
    body,
    title: suggestions.length === 1 ? 'Approve this account' : `Approve these ${suggestions.length} accounts`,
    effects:
      'Read who becomes whom. Whoever signs in at the new provider under such a name comes in as this person here, with all that they may see.',
  };
}

function Unmatched({ unmatched }: Pick<AccountSuggestions, 'unmatched'>) {
  if (unmatched.length === 0) return null;
  return (
    <Notice
      kind="stale"
      title={
        unmatched.length === 1 ? 'One line matches nobody to move' : `${unmatched.length} lines match nobody to move`
      }
    >
      <ul>
        {unmatched.map(({ line, why }) => (
          <li key={line}>
            Line {line} {whyWords[why]}.
          </li>
        ))}
      </ul>
    </Notice>
  );
}

function Suggested({ found, by, onDeed }: { found: AccountSuggestions; by: By; onDeed: (deed: Deed) => void }) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const picked = found.suggestions.filter(({ person }) => chosen.has(person));
  return (
    <div className="stack">
      {by === 'email' && found.suggestions.length > 0 && (
        <Notice title="Suggestions, by an address alone">
          <p>
            Addresses are given to others, and a directory may say what it likes. Look at each one, and choose only
            those that you know to be right.
          </p>
        </Notice>
      )}
      <Unmatched unmatched={found.unmatched} />
      <DataTable
        label="Suggested accounts"
        columns={columns}
        rows={found.suggestions}
        rowKey={({ person }) => person}
        selected={chosen}
        onSelect={setChosen}
        empty={<p className="muted">No line names exactly one person.</p>}
      />
      <div className="row">
        <Button
          look="primary"
          disabled={picked.length === 0 || picked.length > PAIRS_MAX}
          onClick={() => onDeed(approvalOf(picked))}
        >
          {picked.length === 0 ? 'Approve…' : `Approve ${picked.length}…`}
        </Button>
        {picked.length > PAIRS_MAX && (
          <span className="muted">At most {PAIRS_MAX} at once, so that somebody reads them.</span>
        )}
      </div>
    </div>
  );
}

/** A list of who is who, as suggestions to look at. */
export function AccountList({ onDeed }: { onDeed: (deed: Deed) => void }) {
  const [by, setBy] = useState<By>('subject');
  const [text, setText] = useState('');
  const look = useMutation({
    mutationFn: () => request<AccountSuggestions>('/api/changeover/suggestions', { body: { by, text } }),
  });
  return (
    <section className="section" aria-label="Accounts by a list">
      <h2>Accounts by a list</h2>
      <p className="muted prose">
        Paste who is who. You see whom each line names, and approve what you know to be right.
      </p>
      <ChoiceField
        label="What the first column is"
        name="by"
        value={by}
        onChange={(value) => {
          setBy(value);
          look.reset();
        }}
        choices={[
          {
            value: 'subject',
            label: 'Their key at the old provider',
            help: 'The account’s key, as the test of a connection shows it.',
          },
          { value: 'email', label: 'Their address', help: 'Only suggests people: an address proves nothing.' },
        ]}
      />
      <TextArea
        label="Two columns: the person, and their key at the new provider"
        help="One person a line, with a comma between. Paste it from the provider’s export."
        value={text}
        rows={6}
        spellCheck={false}
        onChange={(event) => {
          setText(event.target.value);
          look.reset();
        }}
      />
      <div className="row">
        <Button busy={look.isPending} disabled={text.trim() === ''} onClick={() => look.mutate()}>
          Look up the lines
        </Button>
      </div>
      <Failure error={look.error} />
      {look.data && <Suggested key={look.submittedAt} found={look.data} by={by} onDeed={onDeed} />}
    </section>
  );
}
