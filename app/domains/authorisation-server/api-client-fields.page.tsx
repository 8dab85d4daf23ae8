import { useState } from 'react';
import { ChecksField, ChoiceField, TextArea, TextField } from '../../ui/field.tsx';
import { toggled } from '../../ui/toggled.ts';
import type { ApiClient } from '../../shell/wire.ts';

const NAME_CHARACTERS_MAX = 80;
export const accessNames = { read: 'Read', write: 'Read and change' } as const;

/** What a lead says of a program, and may say anew. */
export interface ClientWords extends Pick<ApiClient, 'name' | 'access' | 'redirectUris'> {
  readonly handsTo: readonly string[];
}

const textOf = (form: FormData, name: string): string => {
  const value = form.get(name);
  return typeof value === 'string' ? value.trim() : '';
};

/** What stands in the fields of a form. */
export function readWords(element: HTMLFormElement): ClientWords {
  const form = new FormData(element);
  return {
    name: textOf(form, 'name'),
    access: form.get('access') === 'write' ? 'write' : 'read',
    redirectUris: textOf(form, 'redirects').split(/\s+/).filter(Boolean),
    handsTo: form.getAll('handsTo').filter((value) => typeof value === 'string'),
  };
}

/** The fields of a program's registration; `agents` are those that it could be let hand work on to. */
export function ClientWordsFields({ words, agents }: { words: ClientWords; agents: readonly ApiClient[] }) {
  const [access, setAccess] = useState(words.access);
  const [handsTo, setHandsTo] = useState<ReadonlySet<string>>(new Set(words.handsTo));
  return (
    <>
      <TextField
        label="Name"
        name="name"
        maxLength={NAME_CHARACTERS_MAX}
        autoComplete="off"
        defaultValue={words.name}
        help="People read it when the program asks them."
      />
      <ChoiceField
        label="The most that people may allow it"
        name="access"
        value={access}
        onChange={setAccess}
        choices={[
          { value: 'read', label: accessNames.read },
          { value: 'write', label: accessNames.write },
        ]}
      />
      <TextArea
        label="Addresses that it is answered at"
        name="redirects"
        rows={3}
        defaultValue={words.redirectUris.join('\n')}
        help="One a line, exactly as the program sends it: https, or http to 127.0.0.1 with any port."
      />
      {agents.length > 0 && (
        <ChecksField
          label="People may let it hand work on to"
          name="handsTo"
          help="Each person decides once more. An agent never gets more than the program was allowed."
          chosen={handsTo}
          onToggle={(id) => setHandsTo(toggled(handsTo, id))}
          choices={agents.map(({ clientId, name }) => ({ value: clientId, label: name }))}
        />
      )}
    </>
  );
}
