import { useState, type FormEvent, type ReactNode } from 'react';
import { Button } from '../../ui/button.tsx';
import { Notice } from '../../ui/display.tsx';
import { ChoiceField, TextArea, TextField, type Choice } from '../../ui/field.tsx';
import { request } from '../../shell/api.ts';
import type { Deed } from '../../shell/deed.tsx';
import { Failure } from '../../shell/failure.tsx';
import { ProblemError } from '../../shell/problem.ts';
import type { Connection, MetadataDescription } from '../../shell/wire.ts';
import { deedOn } from './connection-words.page.tsx';
import { profileWords } from './profile-words.ts';

type Errors = Readonly<Record<string, string>>;
type Text = (name: string) => string;

const orNull = (text: string): string | null => (text === '' ? null : text);

function valuesOf(connection: Connection, text: Text) {
  const authnAge_seconds_max = connection.values?.authnAge_seconds_max ?? null;
  if (connection.kind === 'oidc')
    return {
      kind: 'oidc',
      issuer: text('issuer'),
      clientId: text('clientId'),
      clientAuthentication:
        connection.values?.kind === 'oidc' ? connection.values.clientAuthentication : 'client_secret_basic',
      secret: orNull(text('secret')),
      algorithm: connection.values?.kind === 'oidc' ? connection.values.algorithm : 'RS256',
      groupsClaim: orNull(text('groupsClaim')),
      hostedDomain: orNull(text('hostedDomain')),
      authnAge_seconds_max,
    };
  return {
    kind: 'saml',
    idpEntityId: text('idpEntityId'),
    ssoUrl: text('ssoUrl'),
    ssoBinding: 'redirect',
    metadataUrl: orNull(text('metadataUrl')),
    nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    subjectAttribute: orNull(text('subjectAttribute')),
    groupsAttribute: orNull(text('groupsAttribute')),
    emailAttribute: orNull(text('emailAttribute')),
    nameAttribute: orNull(text('nameAttribute')),
    authnAge_seconds_max,
  };
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Pasted certificates one by one; text without the lines around it is taken as one, and the server says what is wrong. */
function certificatesIn(text: string): readonly string[] {
  if (text === '') return [];
  return text.match(PEM) ?? [text];
}

/** One line that is sent as it stands; a long one is read by a machine. */
function Line(props: {
  name: string;
  label: string;
  value: string | null | undefined;
  errors: Errors;
  help?: ReactNode;
  optional?: boolean;
  secret?: boolean;
  /** People are known by it, and the connection was on: it stands there to be read. */
  fixed?: boolean;
}) {
  const { name, label, value, errors, optional = false, secret = false, fixed = false } = props;
  const help = fixed ? 'Fixed: people are known by it. To change it, set up another connection.' : props.help;
  return (
    <TextField
      label={label}
      name={name}
      defaultValue={value ?? ''}
      help={help}
      optional={optional}
      type={secret ? 'password' : 'text'}
      readOnly={fixed}
      maxLength={2048}
      spellCheck={false}
      autoComplete="off"
      error={errors[name]}
    />
  );
}

function OidcFields({ connection, errors }: { connection: Connection; errors: Errors }) {
  const words = profileWords[connection.profile].oidc;
  const known = connection.values?.kind === 'oidc' ? connection.values : undefined;
  const isGoogle = connection.profile === 'google';
  return (
    <>
      <Line
        name="issuer"
        label="Issuer"
        fixed={connection.state !== 'draft'}
        value={known?.issuer ?? (words.issuer.includes('…') ? '' : words.issuer)}
        errors={errors}
        help={
          <>
            <code>{words.issuer}</code> {words.issuerHelp}
          </>
        }
      />
      <Line name="clientId" label="Client ID" value={known?.clientId} errors={errors} />
      <Line
        name="secret"
        label="Client secret"
        value=""
        errors={errors}
        secret
        help={known ? 'Never shown again. Leave it empty to keep the present one.' : 'Sealed, and never shown again.'}
      />
      {isGoogle && (
        <Line
          name="hostedDomain"
          label="Your domain"
          value={known?.hostedDomain}
          errors={errors}
          help="Every account has to belong to it, for instance harbour.example."
        />
      )}
      {words.groupsClaim === null ? (
        <p className="muted">{words.groupsHelp}</p>
      ) : (
        <Line
          name="groupsClaim"
          label="Claim with the groups"
          value={known ? known.groupsClaim : words.groupsClaim}
          errors={errors}
          help={words.groupsHelp}
          optional
        />
      )}
    </>
  );
}

/** Fills the fields beside it from a metadata document that was pasted or opened. */
function ReadMetadata({ onRead }: { onRead: (found: MetadataDescription) => void }) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [document, setDocument] = useState('');
  const read = async () => {
    setBusy(true);
    setError(null);
    try {
      onRead(await request<MetadataDescription>('/api/connections/metadata', { body: { document } }));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <details>
      <summary>Fill in from the provider’s metadata document</summary>
      <div className="stack">
        <TextArea
          label="Metadata (XML)"
          rows={4}
          spellCheck={false}
          value={document}
          onChange={(event) => setDocument(event.target.value)}
        />
        <div className="row">
          <Button small busy={busy} onClick={() => void read()}>
            Read it
          </Button>
        </div>
        <Failure error={error} />
      </div>
    </details>
  );
}

function AttributeFields({ connection, errors }: { connection: Connection; errors: Errors }) {
  const words = profileWords[connection.profile].saml;
  const known = connection.values?.kind === 'saml' ? connection.values : undefined;
  const preset = <K extends 'subjectAttribute' | 'groupsAttribute' | 'emailAttribute' | 'nameAttribute'>(
    name: K,
    text: string | null,
  ) => (known ? known[name] : text);
  return (
    <>
      <Line
        name="subjectAttribute"
        fixed={connection.state !== 'draft'}
        label="Attribute that people are known by"
        value={preset('subjectAttribute', words.subject)}
        errors={errors}
        help={words.subjectHelp}
        optional={words.subject === null}
      />
      <Line
        name="groupsAttribute"
        label="Attribute with the groups"
        value={preset('groupsAttribute', words.groups)}
        errors={errors}
        optional
      />
      <Line
        name="emailAttribute"
        label="Attribute with the e-mail"
        value={preset('emailAttribute', words.email)}
        errors={errors}
        optional
      />
      <Line
        name="nameAttribute"
        label="Attribute with the name"
        value={preset('nameAttribute', words.name)}
        errors={errors}
        optional
      />
    </>
  );
}

function SamlFields({ connection, errors }: { connection: Connection; errors: Errors }) {
  const words = profileWords[connection.profile].saml;
  const known = connection.values?.kind === 'saml' ? connection.values : undefined;
  const [found, setFound] = useState<MetadataDescription | null>(null);
  return (
    <>
      <Notice title="What the provider has to send">
        <p>{words.note}</p>
      </Notice>
      <ReadMetadata onRead={setFound} />
      <Line
        key={`entity ${found?.idpEntityId ?? ''}`}
        name="idpEntityId"
        fixed={connection.state !== 'draft'}
        label="Entity ID of the provider"
        value={found?.idpEntityId ?? known?.idpEntityId}
        errors={errors}
      />
      <Line
        key={`sso ${found?.ssoUrl ?? ''}`}
        name="ssoUrl"
        label="Sign-in address (HTTP Redirect)"
        value={found?.ssoUrl ?? known?.ssoUrl}
        errors={errors}
      />
      <TextArea
        key={`certificates ${found?.certificates.length ?? 0}`}
        label="Signing certificates"
        name="certificates"
        rows={5}
        spellCheck={false}
        optional={connection.certificates.length > 0}
        defaultValue={found?.certificates.map(({ pem }) => pem).join('\n') ?? ''}
        help={
          connection.certificates.length > 0
            ? 'PEM. Those that you paste are trusted beside the present ones.'
            : 'PEM, one below the other. What they sign is believed once you approve.'
        }
        error={errors['certificates']}
      />
      {words.metadataHelp !== null && (
        <Line
          name="metadataUrl"
          label="Address of the metadata"
          value={known?.metadataUrl}
          errors={errors}
          optional
          help={`${words.metadataHelp} It is read daily. A new certificate waits for your approval, unless a trusted key has signed the document.`}
        />
      )}
      <AttributeFields connection={connection} errors={errors} />
    </>
  );
}

type Newcomers = 'refused' | 'group' | 'auditor' | 'client';
const NEWCOMERS = [
  { value: 'refused', label: 'Is turned away', help: 'Invite people first, or have them ask you.' },
  {
    value: 'group',
    label: 'Becomes a member with the role of a mapped group',
    help: 'Who is in none of the mapped groups is turned away.',
  },
  { value: 'auditor', label: 'Becomes a member, as auditor if no group of theirs is mapped' },
  { value: 'client', label: 'Becomes a member, as client contact if no group of theirs is mapped' },
] as const;

/** Where a sign-in names no groups, nobody would come in by one; it is shown while it is chosen. */
function newcomerChoices({ kind, profile }: Connection, chosen: Newcomers): readonly Choice<Newcomers>[] {
  const namesGroups = kind === 'saml' || profileWords[profile].oidc.groupsClaim !== null;
  if (namesGroups || chosen === 'group') return NEWCOMERS;
  const plain = { auditor: 'Becomes a member, as an auditor', client: 'Becomes a member, as a client contact' };
  return NEWCOMERS.flatMap((one): Choice<Newcomers>[] => {
    if (one.value === 'group') return [];
    return one.value === 'refused' ? [one] : [{ value: one.value, label: plain[one.value] }];
  });
}

function newcomersOf({ justInTime }: Connection): Newcomers {
  return justInTime.allowed ? (justInTime.roleWithoutGroup ?? 'group') : 'refused';
}

function justInTimeOf(newcomers: Newcomers) {
  const allowed = newcomers !== 'refused';
  return { allowed, roleWithoutGroup: newcomers === 'refused' || newcomers === 'group' ? null : newcomers };
}

/** What stands in the form, as the server takes it. */
function typedIn(connection: Connection, form: HTMLFormElement) {
  const fields = new FormData(form);
  const text: Text = (name) => {
    const value = fields.get(name);
    return typeof value === 'string' ? value.trim() : '';
  };
  const certificates = certificatesIn(text('certificates'));
  return { name: text('name'), values: valuesOf(connection, text), certificates };
}

/** Second step of a set-up, and every change after it: what belongs here. Checked before a passkey is asked for. */
export function ConnectionForm({ connection, onDeed }: { connection: Connection; onDeed: (deed: Deed) => void }) {
  const [newcomers, setNewcomers] = useState<Newcomers>(newcomersOf(connection));
  const [errors, setErrors] = useState<Errors>({});
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const check = async (form: HTMLFormElement) => {
    const body = typedIn(connection, form);
    setBusy(true);
    setErrors({});
    setError(null);
    try {
      await request(`/api/connections/${connection.id}/check`, { body });
    } catch (failure) {
      const problem = failure instanceof ProblemError ? failure.problem : null;
      const field = problem?.field === null ? undefined : form.elements.namedItem(problem?.field ?? '');
      if (problem === null || !(field instanceof HTMLElement)) return setError(failure);
      setErrors({ [problem.field!]: problem.detail ?? 'This is not in the form that is needed.' });
      return field.focus();
    } finally {
      setBusy(false);
    }
    onDeed(
      deedOn(connection, {
        operation: 'connections.change',
        part: '',
        body: { version: connection.version, justInTime: justInTimeOf(newcomers), ...body },
        title: 'Save the settings',
        effects:
          connection.state === 'active'
            ? 'People come in by these settings from now on. Test them at once: a mistake locks out whoever has no passkey.'
            : 'Nobody can come in by it yet. Test it next.',
      }),
    );
  };
  return (
    <form
      className="form"
      aria-label="Settings"
      noValidate
      onSubmit={(event: FormEvent<HTMLFormElement>) => {
        event.preventDefault();
        void check(event.currentTarget);
      }}
    >
      <Line name="name" label="Name on the sign-in page" value={connection.name} errors={errors} />
      {connection.kind === 'oidc' ? (
        <OidcFields connection={connection} errors={errors} />
      ) : (
        <SamlFields connection={connection} errors={errors} />
      )}
      <ChoiceField
        label="Somebody who is not a member here yet"
        name="newcomers"
        value={newcomers}
        onChange={setNewcomers}
        choices={newcomerChoices(connection, newcomers)}
      />
      <Failure error={error} />
      <div className="form__actions">
        <Button look="primary" type="submit" busy={busy}>
          Save…
        </Button>
      </div>
    </form>
  );
}
