import { useState, type ReactNode } from 'react';
import { Button } from './button.tsx';
import { Checks, CodeBlock, Facts, Hash, type CheckStep } from './display.tsx';
import { GradeChip } from './grade.tsx';

export interface Proof {
  /** base64 of the leaf's hash. */
  readonly leafHash: string;
  readonly index: number;
  readonly treeSize: number;
  /** The signed note, as it is. */
  readonly checkpoint: string;
  readonly path: readonly string[];
  readonly witnesses: number;
}

interface Verdict {
  readonly ok: boolean;
  readonly steps: readonly CheckStep[];
}

function notRun(error: unknown): Verdict {
  const detail = error instanceof Error ? error.message : String(error);
  return { ok: false, steps: [{ name: 'The check could not run', ok: false, detail }] };
}

function VerdictLines({ verdict, keyNote }: { verdict: Verdict; keyNote: string }) {
  return (
    <div className="stack stack--tight">
      <p className={`verdict verdict--${verdict.ok ? 'ok' : 'failed'}`}>
        {verdict.ok ? 'Verified on this machine.' : 'Not verified. Do not rely on this entry.'}
      </p>
      <p className="muted">{keyNote}</p>
      <Checks steps={verdict.steps} />
    </div>
  );
}

function ProofFacts({ proof }: { proof: Proof }) {
  const witnesses =
    proof.witnesses > 0 ? (
      <GradeChip grade="proven" word={`${proof.witnesses} independent`} />
    ) : (
      '0 independent witnesses (this machine’s own never count)'
    );
  return (
    <Facts
      entries={[
        ['Leaf hash', <Hash key="leaf" text={proof.leafHash} />],
        ['Position', `${proof.index} of ${proof.treeSize}`],
        ['Path', `${proof.path.length} hashes from the leaf to the root`],
        ['Witnesses', witnesses],
      ]}
    />
  );
}

export interface ProofPanelProps {
  proof: Proof;
  /** Runs the check on this machine; every step is shown, passed or not. */
  verify: () => Promise<Verdict>;
  openssl: string;
  /** The key that the check trusts: a verdict counts for this one only. */
  trusts: string;
  /** Whose key that is; stands beside the verdict. */
  keyNote: string;
  children?: ReactNode;
}

/** A proof to read and to check: here, or by openssl on a machine that knows nothing of us. */
export function ProofPanel({ proof, verify, openssl, trusts, keyNote, children }: ProofPanelProps) {
  const [checked, setChecked] = useState<{ readonly verdict: Verdict; readonly trusts: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    setChecked({ verdict: await verify().catch(notRun), trusts });
    setBusy(false);
  };
  const verdict = checked?.trusts === trusts ? checked.verdict : null;
  return (
    <section className="proof" aria-label="Proof">
      <div className="proof__head">
        <h3>Proof that this entry is in the log</h3>
        <Button look="primary" small icon="shield" busy={busy} onClick={() => void run()}>
          Verify in your browser
        </Button>
      </div>
      <div aria-live="polite">{verdict && <VerdictLines verdict={verdict} keyNote={keyNote} />}</div>
      <ProofFacts proof={proof} />
      {children}
      <details>
        <summary>Signed checkpoint</summary>
        <CodeBlock label="signed checkpoint" code={proof.checkpoint} wrap />
      </details>
      <details>
        <summary>Verify with openssl</summary>
        <CodeBlock label="openssl commands" code={openssl} />
      </details>
    </section>
  );
}
