import { Notice } from '../../ui/display.tsx';
import { GradeChip, type Grade } from '../../ui/grade.tsx';
import { Ago } from '../../ui/time.tsx';
import type { KeyHealth, KeySourceView } from '../../shell/wire.ts';

export type SourceKind = KeySourceView['kind'];
type Assurance = KeySourceView['assurance'];

/** What a source is called, and what it means to have one. */
export const kindWords: Readonly<Record<SourceKind, { readonly name: string; readonly means: string }>> = {
  local: {
    name: 'This installation’s key',
    means: 'Kept by the keys process of this installation. You need nothing of your own, and cannot withdraw it.',
  },
  'aws-kms': {
    name: 'A KMS key in your account',
    means: 'You own it, you see each use in your own log, and you can take it away.',
  },
  pkcs11: {
    name: 'A key of your own in the HSM',
    means: 'Lives in the hardware module of this installation, under a label that is yours.',
  },
  xks: {
    name: 'Your external key store',
    means: 'Behind a proxy that you run. It never sees a data key, and nothing opens without it.',
  },
};

const assuranceWords: Readonly<Record<Assurance, readonly [look: Grade, word: string, means: string]>> = {
  hardware: ['proven', 'hardware', 'The key cannot leave the device.'],
  software: ['attested', 'software, kept apart', 'The key is kept away from what it protects, in software.'],
  simulator: [
    'rehearsed',
    'simulator',
    'A stand-in speaks the protocol. Nothing is really kept elsewhere: for trying out.',
  ],
  development: ['stale', 'development', 'The key of keys lies beside what it protects: for trying out.'],
};

/** How much a store promises, by shape, word and colour. */
export function AssuranceChip({ assurance }: { assurance: Assurance }) {
  const [look, word, means] = assuranceWords[assurance];
  return (
    <span title={means}>
      <GradeChip grade={look} word={word} />
    </span>
  );
}

const healthWords: Readonly<Record<KeyHealth['state'], readonly [look: Grade, word: string]>> = {
  usable: ['proven', 'usable'],
  withdrawn: ['failing', 'withdrawn'],
  unreachable: ['stale', 'does not answer'],
  unfit: ['failing', 'cannot be used'],
  unknown: ['asserted', 'not asked yet'],
};

export function HealthChip({ health }: { health: KeyHealth }) {
  const [look, word] = healthWords[health.state];
  return <GradeChip grade={look} word={word} boxed />;
}

/** What was seen at a store and what to do about it; nothing where all is well. */
export function Diagnosis({ health }: { health: KeyHealth }) {
  if (health.state === 'usable') return null;
  return (
    <>
      {health.message && <p>{health.message}</p>}
      {health.advice && (
        <p>
          <b>What to do:</b> {health.advice}
        </p>
      )}
      <p className="muted">
        {health.code && <code>{health.code}</code>}
        {health.checkedAt && (
          <>
            {' '}
            seen <Ago at={health.checkedAt} />
          </>
        )}
      </p>
    </>
  );
}

/** The state that everybody of the tenant feels, said first and whole. */
export function SourceAlarm({ health }: { health: KeyHealth }) {
  if (health.state === 'withdrawn')
    return (
      <Notice kind="failing" title="The key is withdrawn: your data is unreadable until it is back">
        <p>
          Nothing is lost. What is sealed stays as it is, and opens again within seconds once the key is back. Until
          then nobody reads or writes sealed data of your organisation, here or anywhere else.
        </p>
        <Diagnosis health={health} />
      </Notice>
    );
  if (health.state === 'unreachable')
    return (
      <Notice kind="stale" title="Your key store does not answer">
        <p>
          Data keys that are open already are used for at most 300 seconds more; after that your data is unreadable
          until the store answers. Nothing is lost.
        </p>
        <Diagnosis health={health} />
      </Notice>
    );
  if (health.state === 'unfit')
    return (
      <Notice kind="failing" title="The key cannot be used as it is set up">
        <Diagnosis health={health} />
      </Notice>
    );
  return null;
}

/** What taking the key away does and how fast; beside each place where it can be done. */
export function WithdrawalExplained() {
  return (
    <details>
      <summary>What happens when you withdraw a key of your own</summary>
      <div className="prose">
        <p>
          Disable the key where it lives. Every process here asks at least every 10 seconds whether it may go on; once
          the store says no, the opened data keys of your organisation are wiped at once. You will usually feel it after
          10 to 20 seconds, and after 300 seconds at the latest, even if your store cannot be reached at all.
        </p>
        <p>
          Enable it again, and the next request opens your data. Destroy it, and your data is gone for good: no copy of
          the key exists here.
        </p>
      </div>
    </details>
  );
}
