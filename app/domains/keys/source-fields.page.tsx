import { FileDrop } from '../../ui/file-drop.tsx';
import { TextArea, TextField } from '../../ui/field.tsx';
import type { OwnKeySource } from '../../shell/wire.ts';

export type OwnKind = OwnKeySource['kind'];
/** What stands in the form, by name of the field. */
export type Draft = Readonly<Record<string, string>>;

interface FieldSpec {
  readonly name: string;
  readonly label: string;
  readonly help: string;
  readonly optional?: true;
  readonly look?: 'secret' | 'pem';
}

const ACCESS_KEY: readonly FieldSpec[] = [
  {
    name: 'accessKeyId',
    label: 'Access key id',
    help: 'Of an identity that may use this one key. Leave both empty where the installation has a role of its own',
    optional: true,
  },
  {
    name: 'secretAccessKey',
    label: 'Secret access key',
    help: 'Kept sealed, never shown again',
    optional: true,
    look: 'secret',
  },
];

/** The fields of each kind, in the order in which one finds them in the other system. */
export const fieldsOf: Readonly<Record<OwnKind, readonly FieldSpec[]>> = {
  'aws-kms': [
    {
      name: 'keyArn',
      label: 'Key ARN',
      help: 'Of a symmetric key in your account, for instance arn:aws:kms:eu-central-1:111122223333:key/1234abcd-…',
    },
    { name: 'region', label: 'Region', help: 'For instance eu-central-1' },
    {
      name: 'roleArn',
      label: 'Role to take on',
      help: 'A role in your account that may use the key; its trust policy names this installation and the external id',
      optional: true,
    },
    { name: 'externalId', label: 'External id', help: 'As in the trust policy of the role', optional: true },
    ...ACCESS_KEY,
    {
      name: 'endpoint',
      label: 'Endpoint',
      help: 'Only where it is not the region’s own, for instance a VPC endpoint',
      optional: true,
    },
  ],
  pkcs11: [
    { name: 'keyLabel', label: 'Label of the key', help: 'CKA_LABEL of an AES-256 key that cannot be extracted' },
  ],
  xks: [
    { name: 'endpoint', label: 'Proxy endpoint', help: 'https://host[:port] of the proxy that you run' },
    {
      name: 'uriPathPrefix',
      label: 'Path prefix',
      help: 'What stands before /kms/xks/v1, for instance /example',
      optional: true,
    },
    { name: 'keyId', label: 'Key id', help: 'The external key’s id, as the proxy knows it' },
    { name: 'accessKeyId', label: 'Access key id', help: 'Of the proxy’s credential: 20 to 30 characters A–Z and 2–7' },
    { name: 'secretAccessKey', label: 'Secret access key', help: 'Kept sealed, never shown again', look: 'secret' },
    {
      name: 'caCertificate',
      label: 'Certificate authority',
      help: 'PEM, where the proxy’s is not a public one',
      optional: true,
      look: 'pem',
    },
    {
      name: 'clientCertificate',
      label: 'Client certificate',
      help: 'PEM, for mutual TLS',
      optional: true,
      look: 'pem',
    },
    {
      name: 'clientKey',
      label: 'Client key',
      help: 'PEM, kept sealed, never shown again',
      optional: true,
      look: 'pem',
    },
  ],
};

/** The source as the API takes it: what was left empty is not there. */
export function sourceOf(kind: OwnKind, draft: Draft): OwnKeySource {
  const filled = fieldsOf[kind].flatMap(({ name, optional }) => {
    const value = (draft[name] ?? '').trim();
    return value === '' && optional ? [] : [[name, value] as const];
  });
  // An empty prefix is a prefix, and the one field that must not be missing.
  const whole = kind === 'xks' ? { uriPathPrefix: '', ...Object.fromEntries(filled) } : Object.fromEntries(filled);
  return { kind, ...whole } as OwnKeySource;
}

/** Words for what must not stay empty; undefined when all is there. */
export function missing(kind: OwnKind, draft: Draft): string | undefined {
  return fieldsOf[kind].find(({ name, optional }) => !optional && (draft[name] ?? '').trim() === '')?.name;
}

interface FieldProps {
  readonly spec: FieldSpec;
  readonly value: string;
  readonly error: string | undefined;
  readonly onChange: (value: string) => void;
}

function PemField({ spec, value, error, onChange }: FieldProps) {
  return (
    <TextArea
      label={spec.label}
      help={spec.help}
      error={error}
      {...(spec.optional && { optional: true })}
      rows={value === '' ? 1 : 4}
      value={value}
      spellCheck={false}
      placeholder="-----BEGIN"
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

function OneField(props: FieldProps) {
  const { spec, value, error, onChange } = props;
  if (spec.look === 'pem') return <PemField {...props} />;
  return (
    <TextField
      label={spec.label}
      help={spec.help}
      error={error}
      {...(spec.optional && { optional: true })}
      type={spec.look === 'secret' ? 'password' : 'text'}
      value={value}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** The settings of one kind of source. `fault` names the field that the last attempt complained about. */
export function SourceFields({
  kind,
  draft,
  fault,
  onChange,
}: {
  kind: OwnKind;
  draft: Draft;
  fault: { readonly field: string; readonly words: string } | null;
  onChange: (next: Draft) => void;
}) {
  const fields = fieldsOf[kind];
  const one = (spec: FieldSpec) => (
    <OneField
      key={spec.name}
      spec={spec}
      value={draft[spec.name] ?? ''}
      error={fault?.field === spec.name ? fault.words : undefined}
      onChange={(value) => onChange({ ...draft, [spec.name]: value })}
    />
  );
  const rare = fields.filter(({ optional }) => optional);
  return (
    <>
      {fields.filter(({ optional }) => !optional).map(one)}
      {rare.length > 0 && (
        <details open={rare.some(({ name }) => draft[name] || fault?.field === name)}>
          <summary>More settings</summary>
          <div className="stack">{rare.map(one)}</div>
        </details>
      )}
    </>
  );
}

/** A file as base64url; empty while nothing is chosen. */
export function BlobDrop({
  label,
  help,
  onBlob,
}: {
  label: string;
  help: string;
  onBlob: (base64Url: string) => void;
}) {
  return (
    <FileDrop
      label={label}
      help={help}
      onFiles={([file]) => {
        if (file) void file.arrayBuffer().then((bytes) => onBlob(base64Url(new Uint8Array(bytes))));
      }}
    />
  );
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

/** Bytes of base64url, for a download. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}
