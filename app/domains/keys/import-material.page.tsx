import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Notice } from '../../ui/display.tsx';
import { TextField } from '../../ui/field.tsx';
import { Deadline, utcText } from '../../ui/time.tsx';
import { request, saveFile } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ImportParameters, OwnKeySource } from '../../shell/wire.ts';
import { BlobDrop, bytesOf } from './source-fields.page.tsx';

const COMMANDS = `npm exec --no -- auditrax byok new-material --out material.bin
npm exec --no -- auditrax byok wrap --public-key wrapping-key.der --material material.bin --out blob.bin`;

function Parameters({ parameters }: { parameters: ImportParameters }) {
  const save = () =>
    saveFile({
      blob: new Blob([bytesOf(parameters.publicKey)], { type: 'application/octet-stream' }),
      name: 'wrapping-key.der',
    });
  return (
    <>
      <div className="row">
        <Button icon="download" onClick={save}>
          Wrapping key (DER)
        </Button>
        <Deadline due={parameters.validUntil} then="fetch them again" nearMs={3_600_000} />
      </div>
      <p className="muted">
        On a machine that you trust, with this program and without network, make the material and wrap it. It never
        leaves that machine in the open:
      </p>
      <CodeBlock label="commands" code={COMMANDS} wrap />
    </>
  );
}

type KmsSource = Extract<OwnKeySource, { kind: 'aws-kms' }>;

interface Ready {
  readonly encryptedKeyMaterial: string;
  readonly validTo: string | null;
}

function ApproveImport({
  source,
  token,
  ready,
  onClose,
  onDone,
}: {
  source: KmsSource;
  token: string;
  ready: Ready;
  onClose: () => void;
  onDone: (validTo: string | null) => void;
}) {
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation="keys.import-material"
      input={{ keyArn: source.keyArn, ...ready }}
      title="Import the key material"
      effects={
        <p>
          The wrapped material is handed to your KMS key, which alone can open it.{' '}
          {ready.validTo === null
            ? 'It does not expire.'
            : `It expires on ${utcText(ready.validTo)}: from then on your data is unreadable until you import the same material again.`}
        </p>
      }
      confirm="Import it"
      commit={(stepUp) =>
        request<{ validTo: string | null }>('/api/keys/source/import', {
          body: { source, importToken: token, ...ready },
          stepUp,
        })
      }
      onDone={(done) => onDone(done.validTo)}
    />
  );
}

function Done({ validTo }: { validTo: string | null }) {
  return (
    <Notice kind="proven" title="The material is in your key">
      <p>
        {validTo === null ? 'It does not expire.' : `It expires on ${utcText(validTo)}.`} Keep your own copy: nobody
        else has one, and the same material is needed if it is ever imported again.
      </p>
    </Notice>
  );
}

/** The blob that was made elsewhere, when it expires, and the approval. */
function HandOver({
  source,
  parameters,
  onDone,
}: {
  source: KmsSource;
  parameters: ImportParameters;
  onDone: (validTo: string | null) => void;
}) {
  const [blob, setBlob] = useState('');
  const [expiry, setExpiry] = useState('');
  const [approving, setApproving] = useState(false);
  const ready: Ready = {
    encryptedKeyMaterial: blob,
    validTo: expiry === '' ? null : new Date(`${expiry}T00:00:00Z`).toISOString(),
  };
  return (
    <>
      <BlobDrop
        label={blob === '' ? 'blob.bin, the wrapped material' : 'blob.bin is here'}
        help="The one file that the commands end with"
        onBlob={setBlob}
      />
      <TextField
        label="Expires on"
        optional
        help="From that day (UTC) the key store forgets the material, and your data is unreadable"
        type="date"
        value={expiry}
        onChange={(event) => setExpiry(event.target.value)}
      />
      <div className="row">
        <Button icon="key" disabled={blob === ''} onClick={() => setApproving(true)}>
          Import it
        </Button>
      </div>
      {approving && (
        <ApproveImport
          source={source}
          token={parameters.importToken}
          ready={ready}
          onClose={() => setApproving(false)}
          onDone={onDone}
        />
      )}
    </>
  );
}

/** Key material of the tenant's own for a KMS key without any: what to wrap it with, the blob, and when it expires. */
export function ImportMaterial({ source, isReady }: { source: KmsSource; isReady: boolean }) {
  const [imported, setImported] = useState<{ validTo: string | null } | null>(null);
  const parameters = useMutation({
    mutationFn: () => request<ImportParameters>('/api/keys/source/import-parameters', { body: { source } }),
  });
  return (
    <section className="section" aria-labelledby="material">
      <h3 id="material">Key material</h3>
      {imported ? (
        <Done validTo={imported.validTo} />
      ) : (
        <>
          <p className="muted">Already imported? Then go on to the check.</p>
          <div className="row">
            <Button busy={parameters.isPending} disabled={!isReady} onClick={() => parameters.mutate()}>
              Fetch what to wrap it with
            </Button>
          </div>
          <Failure error={parameters.error} />
          {parameters.data && (
            <>
              <Parameters parameters={parameters.data} />
              <HandOver source={source} parameters={parameters.data} onDone={(validTo) => setImported({ validTo })} />
            </>
          )}
        </>
      )}
    </section>
  );
}
