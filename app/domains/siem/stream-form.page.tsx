import { useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { ChoiceField, TextArea, TextField } from '../../ui/field.tsx';
import type { Deed } from '../../shell/deed.tsx';
import type { Stream } from '../../shell/wire.ts';
import { readTarget, type TargetField, type TargetKind } from './target-form.ts';

type Errors = Readonly<Partial<Record<TargetField, string>>>;
const NO_ERRORS: Errors = {};
const KINDS = [
  { value: 'splunk-hec', label: 'Splunk HEC', help: 'HTTPS with a token. Each batch is receipted.' },
  { value: 'syslog-tls', label: 'Syslog over TLS', help: 'RFC 5424 in RFC 5425 frames. Syslog has no receipts.' },
] as const;
const PORTS: Readonly<Record<TargetKind, number>> = { 'splunk-hec': 8088, 'syslog-tls': 6514 };

function typedOf(fields: FormData, kind: TargetKind) {
  const text = (name: TargetField) => {
    const value = fields.get(name);
    return typeof value === 'string' ? value : '';
  };
  return { kind, host: text('host'), port: text('port'), path: text('path'), token: text('token'), ca: text('ca') };
}

interface TargetFieldsProps {
  readonly kind: TargetKind;
  readonly onKind: (kind: TargetKind) => void;
  readonly errors: Errors;
  /** The one that is being changed; its secret and its authority are never shown again. */
  readonly known?: Stream | undefined;
}

function TargetFields({ kind, onKind, errors, known }: TargetFieldsProps) {
  const same = known?.kind === kind ? known : undefined;
  return (
    <>
      <ChoiceField label="Kind" name="kind" value={kind} onChange={onKind} choices={KINDS} />
      <div className="form__row">
        <TextField
          label="Host"
          name="host"
          defaultValue={known?.host ?? ''}
          maxLength={253}
          spellCheck={false}
          autoComplete="off"
          error={errors.host}
        />
        <TextField
          key={kind}
          label="Port"
          name="port"
          inputMode="numeric"
          maxLength={5}
          defaultValue={same?.port ?? PORTS[kind]}
          error={errors.port}
        />
      </div>
      {kind === 'splunk-hec' && (
        <>
          <TextField
            label="Path"
            name="path"
            defaultValue={same?.path ?? '/services/collector/event'}
            maxLength={200}
            spellCheck={false}
            error={errors.path}
          />
          <TextField
            label="Token"
            name="token"
            type="password"
            maxLength={512}
            autoComplete="off"
            help={same && 'The present one is never shown. Write it again, or a new one.'}
            error={errors.token}
          />
        </>
      )}
      <TextArea
        label="Certificate authority"
        name="ca"
        optional
        rows={4}
        spellCheck={false}
        help={
          known?.ownAuthority === true
            ? 'PEM. The one that you gave is not shown: paste it again, or leave this empty for a public authority.'
            : 'PEM. Only where the certificate is not of a public authority. It is always verified.'
        }
        error={errors.ca}
      />
    </>
  );
}

/** Reads the form; undefined, with the fields marked and the first of them in focus, when something is wrong. */
function useTarget(initial: TargetKind) {
  const [kind, setKind] = useState<TargetKind>(initial);
  const [errors, setErrors] = useState<Errors>(NO_ERRORS);
  const read = (form: HTMLFormElement) => {
    const result = readTarget(typedOf(new FormData(form), kind));
    setErrors(result.ok ? NO_ERRORS : result.errors);
    if (result.ok) return result.target;
    const [first] = Object.keys(result.errors);
    const field = form.elements.namedItem(first ?? '');
    if (field instanceof HTMLElement) field.focus();
    return undefined;
  };
  return { kind, setKind, errors, read };
}

/** A destination that is new. It begins switched off. */
export function NewStream({ onDeed }: { onDeed: (deed: Deed) => void }) {
  const [start, setStart] = useState<'oldest' | 'now'>('now');
  const { kind, setKind, errors, read } = useTarget('splunk-hec');
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const target = read(event.currentTarget);
    if (target === undefined) return;
    const body = { target, start };
    onDeed({
      operation: 'siem.create',
      path: '/api/siem/streams',
      input: body,
      body,
      title: 'Add a destination',
      effects: 'It begins switched off: test it first, then start it. The secret is sealed and never shown again.',
    });
  };
  return (
    <form className="form section" onSubmit={submit} aria-label="New destination" noValidate>
      <h2>New destination</h2>
      <TargetFields kind={kind} onKind={setKind} errors={errors} />
      <ChoiceField
        label="Begin"
        name="start"
        value={start}
        onChange={setStart}
        row
        choices={[
          { value: 'now', label: 'With the next entry' },
          { value: 'oldest', label: 'With the oldest entry of the log' },
        ]}
      />
      <div className="form__actions">
        <Button look="primary" type="submit" icon="plus">
          Add…
        </Button>
      </div>
    </form>
  );
}

/** New settings for a destination; where it stands in the log stays. */
export function ChangeStream(props: { stream: Stream; onDeed: (deed: Deed) => void; onCancel: () => void }) {
  const { stream, onDeed, onCancel } = props;
  const { kind, setKind, errors, read } = useTarget(stream.kind);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const target = read(event.currentTarget);
    if (target === undefined) return;
    const body = { target, version: stream.version };
    onDeed({
      operation: 'siem.change',
      path: `/api/siem/streams/${stream.id}`,
      input: { streamId: stream.id, ...body },
      body,
      title: 'Change this destination',
      effects: stream.enabled
        ? 'The next batch already goes there, from where this stream stands. Nothing is left out and nothing is sent anew.'
        : 'It stays switched off. Once it is started it goes on where it stands.',
    });
  };
  return (
    <form className="form" onSubmit={submit} aria-label={`New settings for ${stream.host}`} noValidate>
      <h3>New settings</h3>
      <TargetFields kind={kind} onKind={setKind} errors={errors} known={stream} />
      <div className="form__actions">
        <Button look="primary" type="submit">
          Save…
        </Button>
        <Button onClick={onCancel}>Cancel</Button>
      </div>
    </form>
  );
}
