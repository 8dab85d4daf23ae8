import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { CodeBlock, Diff, Facts, Hash, Notice } from '../../ui/display.tsx';
import { TextField } from '../../ui/field.tsx';
import { Drawer } from '../../ui/overlay.tsx';
import { ProofPanel } from '../../ui/proof-panel.tsx';
import { Instant } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { ActionCard } from '../../shell/step-up.tsx';
import { useNames, useProgramNames } from '../../shell/names.ts';
import type { EntryDetail, EntryProof } from '../../shell/wire.ts';
import type { Filters } from './filters.page.tsx';
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
    changes: proof.changes,
    outside: proof.outside,
  });
}

type Value = EntryDetail['disclosures'][number];

const SHA256_HEX = /^[0-9a-f]{64}$/;
/** Values before and after a change are withheld under these names. */
const CHANGE = /^(old|new)\.(.+)$/;

function Erased({ by, onOpen }: { by: Value['erasedBy']; onOpen: (entryId: string) => void }) {
  if (by === null) return <span className="muted">erased</span>;
  return (
    <span className="muted">
      erased, see{' '}
      <button type="button" className="linkish" onClick={() => onOpen(by.id)}>
        {by.position === null ? 'the entry of it' : `entry ${by.position}`}
      </button>
    </span>
  );
}

function Disclosed({ item, onOpen }: { item: Value; onOpen: (entryId: string) => void }) {
  if (item.state === 'erased') return <Erased by={item.erasedBy} onOpen={onOpen} />;
  if (item.state === 'withheld' || item.value === null) return <span className="muted">not for your role</span>;
  return SHA256_HEX.test(item.value) ? <span className="hash">{item.value}</span> : item.value;
}

/** Some changes are public: what was, and what is now. */
function publicChange({ public: facts, type }: EntryDetail) {
  const { from, to } = facts;
  if (from === undefined || to === undefined || type.startsWith('audit-trail.')) return [];
  return [{ field: type.replace(/\..*$/, ''), before: String(from), after: String(to) }];
}

/** What changed: the old value beside the new one. */
function Changes({ entry }: { entry: EntryDetail }) {
  const items = entry.disclosures;
  const fields = [...new Set(items.flatMap((item) => CHANGE.exec(item.name)?.[2] ?? []))];
  const valueOf = (name: string) => items.find((item) => item.name === name)?.value ?? null;
  const named = fields.map((field) => ({ field, before: valueOf(`old.${field}`), after: valueOf(`new.${field}`) }));
  const changes = named.length > 0 ? named : publicChange(entry);
  if (changes.length === 0) return null;
  return (
    <section className="section" aria-label="What changed">
      <h3>What changed</h3>
      <Diff changes={changes} />
    </section>
  );
}

/** What the person saw before the authenticator was asked. */
function Approval({ entry }: { entry: EntryDetail }) {
  const { approval } = entry;
  if (entry.stepUpHash === null) return null;
  if (approval === null)
    return (
      <section className="section" aria-label="Approved with a passkey">
        <h3>Approved with a passkey</h3>
        <p className="muted">
          What was approved is not shown here: it is not for your role, was erased with a person, or is older than this
          record.
        </p>
      </section>
    );
  return (
    <section className="section" aria-label="Approved with a passkey">
      <h3>Approved with a passkey</h3>
      {approval.failed !== null && (
        <Notice kind="failing" title="This approval does not hold">
          <p>Checked again just now: it fails at {approval.failed}.</p>
        </Notice>
      )}
      {approval.action === null ? (
        <p className="muted">Of what was shown only the hash is kept: it held a secret or a name.</p>
      ) : (
        <ActionCard action={JSON.parse(approval.action) as unknown} title="What was shown" />
      )}
      <Facts
        entries={[
          ['Approved', <Instant key="at" at={entry.at} />],
          ['At', <Hash key="origin" text={approval.origin} />],
          ['By the passkey', <Hash key="passkey" text={approval.passkey} />],
          ['Its public key', <Hash key="key" text={approval.publicKeyHash} />],
          ['Hash of what was shown', <Hash key="action" text={approval.actionHash} />],
        ]}
      />
      {approval.failed === null && (
        <p className="muted">
          Checked again just now: digest, challenge, origin, relying party, user verification and signature hold. An
          exported bundle lets anybody repeat it offline.
        </p>
      )}
    </section>
  );
}

function Digests({ entry, onOpen }: { entry: EntryDetail; onOpen: (entryId: string) => void }) {
  const items = entry.disclosures.filter(({ name }) => name !== 'approval');
  if (items.length === 0) return null;
  return (
    <section className="section" aria-label="Confidential values">
      <h3>Confidential values</h3>
      <p className="muted">
        The log holds only a salted digest of each, so that it can be handed out and still be checked.
      </p>
      <Facts
        entries={items.map(
          (item) =>
            [
              item.name,
              <span key={item.name}>
                <Disclosed item={item} onOpen={onOpen} />
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

type Narrow = (filters: Filters) => void;

function Only({ words, onClick }: { words: string; onClick: () => void }) {
  return (
    <Button small look="quiet" icon="search" onClick={onClick}>
      {words}
    </Button>
  );
}

/** Who did it for the person, first to last. */
function Agents({ ids }: { ids: EntryDetail['agents'] }) {
  const name = useProgramNames();
  return (
    <>
      {ids.map((id, at) => (
        <span key={id} className="row">
          {at > 0 && <span className="muted">then</span>}
          <b>{name(id) ?? 'an agent'}</b> <Hash text={id} />
        </span>
      ))}
    </>
  );
}

/** Programs that did it for the person; nothing where they did it themselves. */
function handedOn(agents: EntryDetail['agents']) {
  return agents.length === 0 ? [] : [['Handed on to', <Agents key="agents" ids={agents} />] as const];
}

/** What an operator was let in by; nothing for everybody else. */
function letInBy(grant: EntryDetail['grant'], onNarrow: Narrow) {
  if (grant === null) return [];
  const history = () => onNarrow({ kind: 'production-grant', object: grant });
  const value = (
    <span key="grant" className="row">
      <Hash text={grant} /> <Only words="Its history" onClick={history} />
    </span>
  );
  return [['Production access', value] as const];
}

function EntryFacts({ entry, onNarrow }: { entry: EntryDetail; onNarrow: Narrow }) {
  const name = useNames();
  const { actor, session, agents, grant, decision, resource } = entry;
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
        [
          'Who',
          <span key="who" className="row">
            <ActorName actor={actor} name={name} />
            {actor.kind === 'person' && (
              <Only words="Everything by them" onClick={() => onNarrow({ person: actor.label })} />
            )}
          </span>,
        ],
        [
          // A program has none of its own: there stands what the person has allowed it.
          agents.length === 0 ? 'Session' : 'Permission',
          session === null ? (
            <span key="session" className="muted">
              none: a service did it by itself
            </span>
          ) : (
            <span key="session" className="row">
              <Hash text={session} />{' '}
              <Only
                words={agents.length === 0 ? 'This session' : 'Everything by it'}
                onClick={() => onNarrow({ session })}
              />
            </span>
          ),
        ],
        ...handedOn(agents),
        ...letInBy(grant, onNarrow),
        [
          'About',
          <span key="about" className="row">
            {resource[0]} <Hash text={resource[1]} />
            <Only words="Its history" onClick={() => onNarrow({ kind: resource[0], object: resource[1] })} />
          </span>,
        ],
        [
          'Decided by',
          decision === null ? (
            <span key="rule" className="muted">
              no rule is recorded with this entry
            </span>
          ) : (
            <span key="rule">
              <Hash text={decision.policies.join(', ')} />
              <br />
              <span className="muted">of revision </span>
              <Hash text={decision.revision} />
            </span>
          ),
        ],
        ...hashes.flatMap(([key, value]) => (value === null ? [] : [[key, <Hash key={key} text={value} />] as const])),
      ]}
    />
  );
}

/** An entry that is written but not yet sealed is asked for again at this pace. */
const SEALING_MS = 2_000;

/** One entry: what it says, what of it is only a digest, and the proof of its place in the log. */
export function EntryPanel(props: { entryId: string; onClose: () => void; onNarrow: Narrow }) {
  const { entryId, onClose, onNarrow } = props;
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
          <EntryFacts entry={data} onNarrow={onNarrow} />
          <Changes entry={data} />
          <Approval entry={data} />
          <Digests entry={data} onOpen={(other) => onNarrow({ entry: other })} />
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
