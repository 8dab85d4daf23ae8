import { useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { ChoiceField, SelectField, TextField } from '../../ui/field.tsx';
import type { ProviderStream } from '../../shell/wire.ts';
import { deliveryWords, subjectWords } from './provider-words.page.tsx';

type Delivery = ProviderStream['delivery'];
type Algorithm = 'RS256' | 'PS256' | 'ES256';
type Name = 'issuer' | 'authorization' | 'audience' | 'jwksUri' | 'pollUrl' | 'theirStream';
type Errors = Readonly<Partial<Record<Name, string>>>;

const DELIVERIES = (['push', 'poll'] as const).map((value) => ({ value, ...deliveryWords[value] }));
const SUBJECTS = (['account', 'opaque'] as const).map((value) => ({ value, ...subjectWords[value] }));
const ALGORITHMS = (['RS256', 'PS256', 'ES256'] as const).map((value) => ({ value, label: value }));
const WAYS = [
  {
    value: 'managed',
    label: 'The provider makes the stream at our word',
    help: 'It has stream management (SSF 1.0). Then we also ask it for signs of life.',
  },
  {
    value: 'hand',
    label: 'By hand',
    help: 'You copy what the provider shows. Then nobody can ask it for signs of life.',
  },
] as const;
const ADDRESS_CHARACTERS_MAX = 2_048;

/** How a new stream comes. */
export function NewProviderStream({ onBegin }: { onBegin: (delivery: Delivery) => void }) {
  const [delivery, setDelivery] = useState<Delivery>('push');
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    onBegin(delivery);
  };
  return (
    <form className="form section" onSubmit={submit} aria-label="New stream">
      <h2>New stream</h2>
      <ChoiceField
        label="How events come"
        name="delivery"
        value={delivery}
        onChange={setDelivery}
        choices={DELIVERIES}
      />
      <div className="form__actions">
        <Button look="primary" type="submit" icon="plus">
          Begin the stream…
        </Button>
      </div>
    </form>
  );
}

/** What is asked for when a stream is set up, by the transmitter or by hand. */
export interface SetUp {
  readonly part: '/connect' | '/set-up';
  readonly body: Readonly<Record<string, string | boolean | null>>;
}

/** Which fields a way needs; the first without a usable value is where the eye is led. */
function fieldsOf(way: 'managed' | 'hand', delivery: Delivery): readonly Name[] {
  if (way === 'managed') return ['issuer', 'authorization'];
  return delivery === 'poll'
    ? ['issuer', 'audience', 'jwksUri', 'pollUrl', 'authorization', 'theirStream']
    : ['issuer', 'audience', 'jwksUri', 'theirStream'];
}

/** Not the issuer: it may be any name, where nothing is fetched from it. */
const ADDRESSES: readonly Name[] = ['jwksUri', 'pollUrl'];
const OPTIONAL: readonly Name[] = ['theirStream'];

function faultsOf(names: readonly Name[], values: Readonly<Record<string, string>>): Errors {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = values[name] ?? '';
      if (value === '') return OPTIONAL.includes(name) ? [] : [[name, 'This is needed.']];
      return ADDRESSES.includes(name) && !value.startsWith('https://')
        ? [[name, 'An address that begins with https://']]
        : [];
    }),
  );
}

function typed(form: HTMLFormElement, names: readonly Name[]): Readonly<Record<string, string>> {
  const data = new FormData(form);
  return Object.fromEntries(
    names.map((name) => {
      const value = data.get(name);
      return [name, typeof value === 'string' ? value.trim() : ''];
    }),
  );
}

interface LineProps {
  readonly name: Name;
  readonly label: string;
  readonly help: string;
  readonly errors: Errors;
  readonly value?: string | null | undefined;
}

function Line({ name, label, help, errors, value }: LineProps) {
  return (
    <TextField
      label={label}
      name={name}
      help={help}
      error={errors[name]}
      optional={OPTIONAL.includes(name)}
      defaultValue={value ?? ''}
      maxLength={ADDRESS_CHARACTERS_MAX}
      spellCheck={false}
      autoComplete="off"
      type={name === 'authorization' ? 'password' : 'text'}
    />
  );
}

function HandFields({ stream, errors }: { stream: ProviderStream; errors: Errors }) {
  const { settings } = stream;
  return (
    <>
      <Line
        name="audience"
        label="Audience"
        help="What stands as aud in its events: the name that the provider has for this stream’s receiver."
        errors={errors}
        value={settings?.audience}
      />
      <Line
        name="jwksUri"
        label="Address of its keys"
        help="jwks_uri, over https: the keys that sign its events."
        errors={errors}
        value={settings?.jwksUri}
      />
      {stream.delivery === 'poll' && (
        <Line
          name="pollUrl"
          label="Address to fetch from"
          help="Its poll endpoint, over https."
          errors={errors}
          value={settings?.pollUrl}
        />
      )}
      <Line
        name="theirStream"
        label="Id of the stream there"
        help="Where the provider shows one: events about another stream are then refused."
        errors={errors}
        value={settings?.theirStream}
      />
    </>
  );
}

type Way = (typeof WAYS)[number]['value'];

interface Chosen {
  readonly way: Way;
  readonly algorithm: Algorithm;
  readonly subjects: keyof typeof subjectWords;
}

function setUpOf({ way, algorithm, subjects }: Chosen, values: Readonly<Record<string, string>>): SetUp {
  const { issuer = '', audience = '', jwksUri = '', pollUrl, authorization, theirStream } = values;
  const common = { issuer, algorithm, opaqueSubjects: subjects === 'opaque' };
  if (way === 'managed') return { part: '/connect', body: { ...common, authorization: authorization ?? '' } };
  const body = {
    ...common,
    audience,
    jwksUri,
    theirStream: theirStream === '' ? null : (theirStream ?? null),
    pollUrl: pollUrl ?? null,
    authorization: authorization ?? null,
  };
  return { part: '/set-up', body };
}

interface FormProps {
  readonly stream: ProviderStream;
  /** Tells its form from another stream’s. */
  readonly title: string;
  readonly onSetUp: (setUp: SetUp) => void;
}

function choiceOf({ state, settings }: ProviderStream): Chosen {
  const algorithm = ALGORITHMS.find(({ value }) => value === settings?.algorithm)?.value ?? 'RS256';
  const subjects = settings?.opaqueSubjects === true ? 'opaque' : 'account';
  return { way: state === 'draft' ? 'managed' : 'hand', algorithm, subjects };
}

/** The values of a stream: of a draft by either way, of one that is on by hand again. */
export function ProviderStreamForm({ stream, title, onSetUp }: FormProps) {
  const [chosen, setChosen] = useState(() => choiceOf(stream));
  const [errors, setErrors] = useState<Errors>({});
  const { way, algorithm, subjects } = chosen;
  const names = fieldsOf(way, stream.delivery);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const values = typed(form, names);
    const faults = faultsOf(names, values);
    setErrors(faults);
    const first = names.find((name) => faults[name] !== undefined);
    const field = first === undefined ? null : form.elements.namedItem(first);
    if (field instanceof HTMLElement) field.focus();
    if (first === undefined) onSetUp(setUpOf(chosen, values));
  };
  return (
    <form className="form section" onSubmit={submit} aria-label={`Values of ${title}`} noValidate>
      <h3>Values of the provider</h3>
      {stream.state === 'draft' && (
        <ChoiceField
          label="How it is set up"
          name="way"
          value={way}
          onChange={(next) => setChosen({ ...chosen, way: next })}
          choices={WAYS}
        />
      )}
      <Line
        name="issuer"
        label="Transmitter’s issuer"
        help="iss of its events, exactly as the provider writes it."
        errors={errors}
        value={stream.settings?.issuer}
      />
      {way === 'hand' && <HandFields stream={stream} errors={errors} />}
      {names.includes('authorization') && (
        <Line
          name="authorization"
          label="Authorization that it gives us"
          help={`The whole header, for instance “Bearer …”. It is sealed and never shown again${stream.settings === null ? '' : ': type it anew'}.`}
          errors={errors}
        />
      )}
      <SelectField
        label="Events are signed with"
        value={algorithm}
        onChange={(next) => setChosen({ ...chosen, algorithm: next })}
        choices={ALGORITHMS}
      />
      <ChoiceField
        label="People are named"
        name="subjects"
        value={subjects}
        onChange={(next) => setChosen({ ...chosen, subjects: next })}
        choices={SUBJECTS}
      />
      <div className="form__actions">
        <Button look="primary" type="submit">
          {stream.state === 'draft' ? 'Set it up…' : 'Save…'}
        </Button>
      </div>
    </form>
  );
}
