import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { CodeBlock, Facts, Hash, Notice } from '../../ui/display.tsx';
import { TextField } from '../../ui/field.tsx';
import { Drawer } from '../../ui/overlay.tsx';
import { ProofPanel } from '../../ui/proof-panel.tsx';
import { Instant } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { useNames } from '../../shell/names.ts';
import type { EntryDetail, EntryProof } from '../../shell/wire.ts';
import { ActorName, OutcomeWord } from './words.page.tsx';

const OPENSSL = `# in an unpacked export bundle; the log's key comes from somewhere you trust
sh verify.sh "$LOG_KEY"`;

/** The verifier is loaded when somebody wants it: the same code as on the command line, on this browser's own crypto. */
async function verify(entry: EntryDetail, proof: EntryProof, vkey: string) {
  const { verifyEntryInBrowser } = await import('./browser-verify.ts');
  return verifyEntryInBrowser({
    leaf: entry.leaf,
    index: proof.index,
    proof: proof.path,
    checkpoint: proof.checkpoint,
    vkey,
  });
}

const withheldWords: Readonly<Record<EntryDetail['disclosures'][number]['state'], string>> = {
  open: '',
  withheld: 'not for your role',
  erased: 'erased',
};

const SHA256_HEX = /^[0-9a-f]{64}$/;

function Disclosed({ value, state }: Pick<EntryDetail['disclosures'][number], 'value' | 'state'>) {
  if (value === null || value === undefined) return <span className="muted">{withheldWords[state]}</span>;
  return SHA256_HEX.test(value) ? <span className="hash">{value}</span> : value;
}

function Digests({ entry }: { entry: EntryDetail }) {
  if (entry.disclosures.length === 0) return null;
  return (
    <section className="section" aria-label="Confidential values">
      <h3>Confidential values</h3>
      <p className="muted">
        The log holds only a salted digest of each, so that it can be handed out and still be checked.
      </p>
      <Facts
        entries={entry.disclosures.map(
          (item) =>
            [
              item.name,
              <span key={item.name}>
                <Disclosed value={item.value} state={item.state} />
                <br />
                <span className="hash muted">{item.digest}</span>
              </span>,
            ] as const,
        )}
      />
    </section>
  );
}

function Proof({ entry, proof }: { entry: EntryDetail; proof: EntryProof }) {
  const [ownKey, setOwnKey] = useState('');
  const vkey = ownKey.trim() || proof.vkey;
  const keyNote = ownKey.trim()
    ? 'Checked with the key that you gave.'
    : 'Checked with the key that this server gave: it shows that entry, path and checkpoint fit together. Give a key from elsewhere to know that they are the log’s.';
  return (
    <ProofPanel
      proof={proof}
      verify={() => verify(entry, proof, vkey)}
      openssl={OPENSSL}
      trusts={vkey}
      keyNote={keyNote}
    >
      <details>
        <summary>Use a log key that you got elsewhere</summary>
        <TextField
          label="Verifier key"
          help={
            <>
              From a colleague, another machine, or a copy that you kept earlier. This server’s:{' '}
              <span className="hash">{proof.vkey}</span>
            </>
          }
          value={ownKey}
          onChange={(event) => setOwnKey(event.target.value)}
          spellCheck={false}
          autoComplete="off"
        />
      </details>
      <details>
        <summary>The entry, byte for byte</summary>
        <CodeBlock label="entry" code={entry.leaf} wrap />
      </details>
    </ProofPanel>
  );
}

function EntryFacts({ entry }: { entry: EntryDetail }) {
  const name = useNames();
  const hashes = [
    ['Request', entry.requestId],
    ['Token hash', entry.tokenHash],
    ['Approval hash', entry.stepUpHash],
    ...Object.entries(entry.public).map(([key, value]) => [key, String(value)] as const),
  ] as const;
  return (
    <Facts
      entries={[
        ['When', <Instant key="at" at={entry.at} />],
        ['Who', <ActorName key="who" actor={entry.actor} name={name} />],
        [
          'About',
          <span key="about">
            {entry.resource[0]} <Hash text={entry.resource[1]} />
          </span>,
        ],
        ...hashes.flatMap(([key, value]) => (value === null ? [] : [[key, <Hash key={key} text={value} />] as const])),
      ]}
    />
  );
}

/** An entry that is written but not yet sealed is asked for again at this pace. */
const SEALING_MS = 2_000;

/** One entry: what it says, what of it is only a digest, and the proof of its place in the log. */
export function EntryPanel({ entryId, onClose }: { entryId: string; onClose: () => void }) {
  const entry = useQuery({
    queryKey: ['entry', entryId],
    queryFn: ({ signal }) => request<EntryDetail>(`/api/audit-trail/entries/${entryId}`, { signal }),
    refetchInterval: ({ state }) => (state.data?.position === null ? SEALING_MS : false),
  });
  const data = entry.data;
  const sealed = data !== undefined && data.position !== null;
  const proof = useQuery({
    queryKey: ['entry', entryId, 'proof'],
    queryFn: ({ signal }) => request<EntryProof>(`/api/audit-trail/entries/${entryId}/proof`, { signal }),
    enabled: sealed,
    staleTime: Infinity,
  });
  const sub = data && (
    <span className="row">
      <OutcomeWord outcome={data.outcome} />
      <span className="muted num">{sealed ? `sealed at ${data.position}` : 'not sealed yet'}</span>
    </span>
  );
  return (
    <Drawer open onClose={onClose} title={data ? data.type : 'Entry'} sub={sub}>
      <Failure error={entry.error} />
      {data && (
        <>
          <EntryFacts entry={data} />
          <Digests entry={data} />
          {!sealed && (
            <Notice title="Not sealed yet">
              <p>The entry is written. The sequencer seals it within seconds; its proof then appears here.</p>
            </Notice>
          )}
          <Failure error={proof.error} />
          {proof.data && <Proof entry={data} proof={proof.data} />}
        </>
      )}
    </Drawer>
  );
}
