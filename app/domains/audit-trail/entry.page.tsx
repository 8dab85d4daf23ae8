import { useQuery } from '@tanstack/react-query';
import { CodeBlock, Facts, Notice } from '../../ui/display.tsx';
import { Drawer } from '../../ui/overlay.tsx';
import { ProofPanel } from '../../ui/proof-panel.tsx';
import { Instant } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { EntryDetail, EntryProof } from '../../shell/wire.ts';
import { ActorName, OutcomeWord, TypeWord } from './words.page.tsx';

type Verify = (input: { leaf: string; index: number; proof: readonly string[]; checkpoint: string; vkey: string }) => Promise<{ ok: boolean; steps: readonly { name: string; ok: boolean; detail: string }[] }>;

async function verify(entry: EntryDetail, proof: EntryProof) {
  const loaders = import.meta.glob<{ verifyEntryInBrowser: Verify }>('./browser-verify.ts');
  const load = loaders['./browser-verify.ts'];
  if (!load) throw new Error('This build carries no verifier.');
  const { verifyEntryInBrowser } = await load();
  return verifyEntryInBrowser({ leaf: entry.leaf, index: proof.index, proof: proof.path, checkpoint: proof.checkpoint, vkey: proof.vkey });
}

/** One entry: what it says, what of it is only a digest, and the proof of its place in the log. */
export function EntryPanel({ entryId, onClose }: { entryId: string; onClose: () => void }) {
  const entry = useQuery({ queryKey: ['entry', entryId], queryFn: ({ signal }) => request<EntryDetail>(`/api/audit-trail/entries/${entryId}`, { signal }) });
  const sealed = entry.data?.position !== null && entry.data?.position !== undefined;
  const proof = useQuery({ queryKey: ['entry', entryId, 'proof'], queryFn: ({ signal }) => request<EntryProof>(`/api/audit-trail/entries/${entryId}/proof`, { signal }), enabled: sealed });
  const data = entry.data;
  return (
    <Drawer open onClose={onClose} title={data ? data.type : 'Entry'} sub={data && <span className="row"><OutcomeWord outcome={data.outcome} /><TypeWord type={data.type} /></span>}>
      <Failure error={entry.error} />
      {data && (
        <>
          <Facts
            entries={[
              ['When', <Instant key="at" at={data.at} />],
              ['Who', <ActorName key="who" actor={data.actor} />],
              ['About', <span key="about">{data.resource[0]} <span className="hash">{data.resource[1]}</span></span>],
              ['Request', <span key="rid" className="hash">{data.requestId}</span>],
              ['Position', data.position ?? 'not sealed yet'],
              ...(data.tokenHash ? [['Token hash', <span key="th" className="hash">{data.tokenHash}</span>] as const] : []),
              ...(data.stepUpHash ? [['Step-up hash', <span key="su" className="hash">{data.stepUpHash}</span>] as const] : []),
              ...Object.entries(data.public).map(([name, value]) => [name, <span key={name} className="hash">{String(value)}</span>] as const),
            ]}
          />
          {data.disclosures.length > 0 && (
            <section className="section" aria-label="Digests">
              <h3>Confidential values</h3>
              <p className="muted">The log holds only a salted digest of each, so that it can be handed out and still be checked.</p>
              <Facts entries={data.disclosures.map((item) => [item.name, <span key={item.name}>{item.value ?? <span className="muted">erased</span>}<br /><span className="hash muted">{item.digest}</span></span>] as const)} />
            </section>
          )}
          {!sealed && <Notice title="Not sealed yet"><p>The entry is written. The sequencer seals it within seconds; reopen it for its proof.</p></Notice>}
          <Failure error={proof.error} />
          {proof.data && (
            <ProofPanel proof={proof.data} verify={() => verify(data, proof.data)} openssl={'# in an unpacked export bundle, with the log key from a place you trust\nsh verify.sh log.pub'}>
              <details>
                <summary>The leaf, byte for byte</summary>
                <CodeBlock label="leaf" code={data.leaf} wrap />
              </details>
            </ProofPanel>
          )}
        </>
      )}
    </Drawer>
  );
}
