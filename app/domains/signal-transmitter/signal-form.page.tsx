import { useEffect, useRef, useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { ChecksField, ChoiceField, TextField } from '../../ui/field.tsx';
import { toggled } from '../../ui/toggled.ts';
import type { SignalStream } from '../../shell/wire.ts';
import { subjectWords, topicWords } from './signal-words.page.tsx';

const NAME_CHARACTERS_MAX = 80;
const TOPICS = ['sessions', 'accounts', 'passkeys'] as const;
const SUBJECTS = (['provider', 'own'] as const).map((value) => ({ value, ...subjectWords[value] }));
const METHODS = [
  { value: 'push', label: 'We push them', help: 'At once, to an address of the receiver.' },
  { value: 'poll', label: 'It polls them', help: 'The receiver asks; nothing of yours has to be reachable.' },
] as const;

/** A stream as it is sent. */
export interface StreamDraft {
  readonly name: string;
  readonly audience: string;
  readonly topics: SignalStream['topics'];
  readonly subjects: SignalStream['subjects'];
  readonly push: { readonly url: string; readonly token: string } | null;
}

type Errors = Readonly<Partial<Record<'name' | 'url' | 'token', string>>>;

function typed(form: HTMLFormElement, name: string): string {
  const value = new FormData(form).get(name);
  return typeof value === 'string' ? value.trim() : '';
}

function faultsOf(draft: StreamDraft): Errors {
  return {
    ...(draft.name === '' ? { name: 'Say which system it is.' } : {}),
    ...(draft.push !== null && !/^https:\/\/\S+$/.test(draft.push.url)
      ? { url: 'An address that begins with https://' }
      : {}),
    ...(draft.push !== null && draft.push.token === ''
      ? { token: 'The receiver gives you one; we send it with each event.' }
      : {}),
  };
}

function PushFields({ errors }: { errors: Errors }) {
  return (
    <>
      <TextField
        label="Address"
        name="url"
        type="url"
        maxLength={2048}
        spellCheck={false}
        autoComplete="off"
        help="Where the receiver takes events, over https. It has to be reachable from the Internet."
        error={errors.url}
      />
      <TextField
        label="Token of the receiver"
        name="token"
        type="password"
        maxLength={4000}
        autoComplete="off"
        help="Sent as “Authorization: Bearer …”. It is sealed and never shown again."
        error={errors.token}
      />
    </>
  );
}

function Told({ topics, onToggle }: { topics: ReadonlySet<string>; onToggle: (value: string) => void }) {
  return (
    <ChecksField
      label="It is told when"
      chosen={topics}
      onToggle={onToggle}
      choices={TOPICS.map((value) => ({ value, ...topicWords[value] }))}
      {...(topics.size === 0 && { help: 'Choose at least one.' })}
    />
  );
}

/** Everything that makes a new stream. */
export function NewStream(props: { onCreate: (draft: StreamDraft) => void; onCancel: () => void }) {
  const { onCreate, onCancel } = props;
  const form = useRef<HTMLFormElement>(null);
  // Whoever has asked for it goes on by keyboard where it begins.
  useEffect(() => form.current?.querySelector('input')?.focus(), []);
  const [method, setMethod] = useState<SignalStream['method']>('push');
  const [subjects, setSubjects] = useState<SignalStream['subjects']>('provider');
  const [topics, setTopics] = useState<ReadonlySet<string>>(new Set(['sessions', 'accounts']));
  const [errors, setErrors] = useState<Errors>({});
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = event.currentTarget;
    const draft: StreamDraft = {
      name: typed(fields, 'name'),
      audience: typed(fields, 'audience'),
      topics: { sessions: topics.has('sessions'), accounts: topics.has('accounts'), passkeys: topics.has('passkeys') },
      subjects,
      push: method === 'push' ? { url: typed(fields, 'url'), token: typed(fields, 'token') } : null,
    };
    const faults = faultsOf(draft);
    setErrors(faults);
    const [first] = Object.keys(faults);
    const field = fields.elements.namedItem(first ?? '');
    if (field instanceof HTMLElement) field.focus();
    if (first === undefined && topics.size > 0) onCreate(draft);
  };
  return (
    <form ref={form} className="form section" onSubmit={submit} aria-label="New stream" noValidate>
      <h2>New stream</h2>
      <TextField
        label="Name"
        name="name"
        maxLength={NAME_CHARACTERS_MAX}
        autoComplete="off"
        help="The system that is told, for instance: Night watch SIEM."
        error={errors.name}
      />
      <ChoiceField label="How it gets events" name="method" value={method} onChange={setMethod} choices={METHODS} />
      {method === 'push' && <PushFields errors={errors} />}
      <Told topics={topics} onToggle={(value) => setTopics(toggled(topics, value))} />
      <ChoiceField
        label="People are called"
        name="subjects"
        value={subjects}
        onChange={setSubjects}
        choices={SUBJECTS}
      />
      <TextField
        label="Audience"
        name="audience"
        optional
        maxLength={1024}
        spellCheck={false}
        autoComplete="off"
        help="Only where the receiver wants to be called something of its own."
      />
      <div className="form__actions">
        <Button look="primary" type="submit" icon="plus">
          Make the stream…
        </Button>
        <Button onClick={onCancel}>Cancel</Button>
      </div>
    </form>
  );
}
