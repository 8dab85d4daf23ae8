import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Facts, Hash, Notice } from '../../ui/display.tsx';
import { toast } from '../../ui/overlay.tsx';
import { Progress } from '../../ui/progress.tsx';
import { Ago } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { KeySourceAnswer, KeySourceView } from '../../shell/wire.ts';
import { AssuranceChip, HealthChip, kindWords, WithdrawalExplained } from './key-words.page.tsx';
import { SourceWizard } from './source-wizard.page.tsx';

/** Settings that say where a key is, in the order people ask. */
const settingWords: Readonly<Record<string, string>> = {
  keyArn: 'Key ARN',
  region: 'Region',
  roleArn: 'Role',
  externalId: 'External id',
  endpoint: 'Endpoint',
  uriPathPrefix: 'Path prefix',
  keyId: 'Key id',
  keyLabel: 'Label',
  accessKeyId: 'Access key id',
};

function sourceFacts(source: KeySourceView) {
  const settings = Object.entries(settingWords).flatMap(([name, word]) =>
    source.settings[name] === undefined ? [] : [[word, <Hash key={name} text={source.settings[name]} />] as const],
  );
  return [
    ['Promise', <AssuranceChip key="assurance" assurance={source.assurance} />] as const,
    ...settings,
    // A store that does not answer does not tell its fingerprint either.
    ...(source.fingerprint === ''
      ? []
      : [['Fingerprint', <Hash key="fingerprint" text={source.fingerprint} />] as const]),
    ...(source.activeSince === null ? [] : [['Active', <Ago key="since" at={source.activeSince} />] as const]),
    ...(source.health.checkedAt === null
      ? []
      : [['Last asked', <Ago key="checked" at={source.health.checkedAt} />] as const]),
  ];
}

/** What a switch has left under the former key, and how to go on. */
function Moving({ moving }: { moving: KeySourceAnswer['moving'] }) {
  const client = useQueryClient();
  const finish = useMutation({
    mutationFn: () => request<{ moving: KeySourceAnswer['moving'] }>('/api/keys/source/finish', { body: {} }),
    onSettled: () => client.invalidateQueries({ queryKey: ['keys'] }),
  });
  if (moving.left === 0) return null;
  const done = moving.total - moving.left;
  const stopped = finish.data?.moving.stopped ?? moving.stopped;
  return (
    <Notice kind="stale" title={`${moving.left} of ${moving.total} data keys still stand under the former key`}>
      <p>
        New data is sealed under the new key already, and everything stays readable. Until the rest has moved, the
        former key has to stay usable.
      </p>
      {stopped && (
        <p>
          It stopped: <code>{stopped.code}</code>. {stopped.advice}
        </p>
      )}
      <Progress
        label="Data keys moved"
        value={moving.total === 0 ? 1 : done / moving.total}
        detail={`${done} of ${moving.total}`}
      />
      <div className="row">
        <Button busy={finish.isPending} onClick={() => finish.mutate()}>
          Go on moving
        </Button>
      </div>
      <Failure error={finish.error} />
    </Notice>
  );
}

function GiveBack(props: { open: boolean; onClose: () => void; total: number; from: string | null }) {
  const { open, onClose, total, from } = props;
  const client = useQueryClient();
  return (
    <StepUpDialog
      open={open}
      onClose={onClose}
      operation="keys.return-source"
      input={{ from }}
      title="Return to this installation’s key"
      effects={
        <p>
          {total === 1 ? 'One data key is' : `${total} data keys are`} wrapped again under the installation’s key.
          Nothing is unreadable meanwhile. Afterwards you can no longer withdraw your data by taking a key away.
        </p>
      }
      confirm="Return to it"
      commit={(stepUp) => request<unknown>('/api/keys/source/return', { body: { from }, stepUp })}
      onDone={() => {
        onClose();
        toast('The installation’s key protects your data now');
        void client.invalidateQueries({ queryKey: ['keys'] });
      }}
    />
  );
}

/** Why there is no choice here, for those who have none. */
function WhyNot({ tier }: { tier: KeySourceAnswer['tier'] }) {
  if (tier === 'enterprise') return <p className="muted">A lead auditor can put a key of your own in its place.</p>;
  return (
    <p className="muted">
      Your organisation is on the Standard tier, where this installation’s key protects everybody’s data keys. With the
      Enterprise tier you can bring a KMS key, an HSM key or an external key store of your own, and withdraw it. Ask the
      operator of this installation.
    </p>
  );
}

/** The key that protects the data keys: what it is, where, how it does, and how to put another in its place. */
export function SourceCard({ answer }: { answer: KeySourceAnswer }) {
  const { active, former, moving, tier, mayChange } = answer;
  const [dialog, setDialog] = useState<'wizard' | 'return' | null>(null);
  const isOwn = active.sourceId !== null;
  const close = () => setDialog(null);
  return (
    <section className="card" aria-labelledby="key-source">
      <div className="card__head">
        <h2 id="key-source">{kindWords[active.kind].name}</h2>
        <HealthChip health={active.health} />
      </div>
      <p className="prose muted">
        It wraps your {moving.total === 1 ? 'one data key' : `${moving.total} data keys`}; those seal your text and
        files. {kindWords[active.kind].means}
      </p>
      <Facts entries={sourceFacts(active)} />
      <Moving moving={moving} />
      {former.length > 0 && moving.left === 0 && (
        <p className="muted">
          {former.length === 1 ? 'One former key is' : `${former.length} former keys are`} no longer needed.
        </p>
      )}
      {mayChange ? (
        <div className="row">
          <Button look={isOwn ? 'plain' : 'primary'} icon="key" onClick={() => setDialog('wizard')}>
            {isOwn ? 'Change to another key' : 'Use a key of your own'}
          </Button>
          {isOwn && <Button onClick={() => setDialog('return')}>Return to the installation’s key</Button>}
        </div>
      ) : (
        <WhyNot tier={tier} />
      )}
      <WithdrawalExplained />
      {dialog === 'wizard' && <SourceWizard answer={answer} onClose={close} />}
      <GiveBack open={dialog === 'return'} onClose={close} total={moving.total} from={answer.active.sourceId} />
    </section>
  );
}
