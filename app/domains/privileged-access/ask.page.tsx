import { PRODUCTION_SCOPES, type ProductionScope } from '@auditrax/base/route';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';
import { Button } from '../../ui/button.tsx';
import { Notice } from '../../ui/display.tsx';
import { ChoiceField, TextArea, TextField } from '../../ui/field.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { Instant } from '../../ui/time.tsx';
import { request } from '../../shell/api.ts';
import type { Problem } from '../../shell/problem.ts';
import { useSession } from '../../shell/session.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ProductionAccess, ShownGrant } from '../../shell/wire.ts';
import { isScope, scopeHelp, scopesText, scopeWords, vouchingHelp } from './grant-words.page.tsx';

const REASON_CHARACTERS_MAX = 1_000;
const TICKET_CHARACTERS_MAX = 100;
const LENGTHS = ['15', '60', '240'] as const;
type Length = (typeof LENGTHS)[number];
const LENGTH_DEFAULT: Length = '60';
const lengthWords: Readonly<Record<Length, string>> = { '15': '15 min', '60': '1 h', '240': '4 h' };
/** While somebody waits for it. */
const WAITING_MS = 2_000;
const IDLE_MS = 30_000;

/** Who is let in now, and who was. */
export function useProductionAccess(isWaiting = false) {
  return useQuery({
    queryKey: ['production-access'],
    queryFn: ({ signal }) => request<ProductionAccess>('/api/production-access', { signal }),
    refetchInterval: ({ state }) =>
      isWaiting || state.data?.grants.some(({ state: one }) => one === 'waiting') ? WAITING_MS : IDLE_MS,
  });
}

type Kind = ShownGrant['kind'];
interface Draft {
  readonly reason: string;
  readonly ticket: string | null;
  readonly scopes?: readonly ProductionScope[];
  readonly minutes?: number;
}

function Scopes({
  chosen,
  onChange,
  error,
}: {
  chosen: ReadonlySet<ProductionScope>;
  onChange: (next: ReadonlySet<ProductionScope>) => void;
  error: string | undefined;
}) {
  const turn = (scope: ProductionScope, on: boolean) =>
    onChange(new Set(PRODUCTION_SCOPES.filter((one) => (one === scope ? on : chosen.has(one)))));
  return (
    <fieldset className="field">
      <legend className="field__label">To what</legend>
      <div className="choices">
        {PRODUCTION_SCOPES.map((scope) => (
          <label key={scope} className="choice">
            <input
              type="checkbox"
              name={scope}
              checked={chosen.has(scope)}
              onChange={(event) => turn(scope, event.target.checked)}
            />
            <span>{scopeWords[scope]}</span>
            <span className="choice__help">{scopeHelp[scope]}</span>
          </label>
        ))}
      </div>
      {error && (
        <p className="field__error" role="alert">
          {error}
        </p>
      )}
    </fieldset>
  );
}

const FORM = 'ask-production-access';

interface AskProps {
  readonly kind: Kind;
  readonly scopes: readonly ProductionScope[];
  readonly vouching: ProductionAccess['vouching'];
  readonly onClose: () => void;
}

/** Why, to what, and for how long: as little of each as will do. */
function AskForm({ kind, scopes, vouching, onClose, onDraft }: AskProps & { onDraft: (draft: Draft) => void }) {
  const [chosen, setChosen] = useState<ReadonlySet<ProductionScope>>(new Set(scopes));
  const [minutes, setMinutes] = useState<Length>(LENGTH_DEFAULT);
  const [errors, setErrors] = useState<{ reason?: string; scopes?: string }>({});
  const isGlass = kind === 'break-glass';
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const typed = (name: string) => {
      const value = data.get(name);
      return typeof value === 'string' ? value.trim() : '';
    };
    const reason = typed('reason');
    const found = {
      ...(reason === '' && { reason: 'Say what for: whoever confirms or reviews it reads this.' }),
      ...(!isGlass && chosen.size === 0 && { scopes: 'Choose what you need.' }),
    };
    setErrors(found);
    if (Object.keys(found).length > 0) return;
    const why = { reason, ticket: typed('ticket') || null };
    onDraft(isGlass ? why : { ...why, scopes: [...chosen], minutes: Number(minutes) });
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={isGlass ? 'Break the glass' : 'Ask for production access'}
      description={
        <p>
          {isGlass
            ? 'Everything, for an hour at most, in an emergency. Another operator has to let you in within 15 minutes, whoever is on call is told at once, and a third person judges it within a week: until somebody has, neither of you breaks it again after that.'
            : `If you go on: ${vouchingHelp[vouching]}`}
        </p>
      }
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look={isGlass ? 'danger' : 'primary'} type="submit" form={FORM}>
            Go on to approval
          </Button>
        </>
      }
    >
      <form id={FORM} className="form" onSubmit={submit} noValidate>
        <TextArea
          label="Reason"
          name="reason"
          rows={3}
          maxLength={REASON_CHARACTERS_MAX}
          help="Kept under seal; operators and reviewers read it."
          error={errors.reason}
        />
        <TextField label="Ticket" name="ticket" optional maxLength={TICKET_CHARACTERS_MAX} autoComplete="off" />
        {!isGlass && (
          <>
            <Scopes chosen={chosen} onChange={setChosen} error={errors.scopes} />
            <ChoiceField
              label="For"
              name="minutes"
              value={minutes}
              onChange={setMinutes}
              row
              choices={LENGTHS.map((value) => ({ value, label: lengthWords[value] }))}
            />
          </>
        )}
      </form>
    </Dialog>
  );
}

/** Asking, from the reason to the passkey. */
export function AskAccess(props: AskProps) {
  const { kind, onClose } = props;
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft | null>(null);
  if (draft === null) return <AskForm {...props} onDraft={setDraft} />;
  const isGlass = kind === 'break-glass';
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation={isGlass ? 'production-access.break-glass' : 'production-access.ask'}
      input={draft}
      title={isGlass ? 'Break the glass' : 'Ask for production access'}
      confirm="Approve with passkey"
      effects={
        <p>{isGlass ? 'Everything, for an hour.' : `${scopesText(draft.scopes ?? [])}, for ${draft.minutes} min.`}</p>
      }
      commit={(stepUp) =>
        request<{ grant: ShownGrant }>(`/api/production-access${isGlass ? '/break-glass' : ''}`, {
          body: draft,
          stepUp,
        })
      }
      onDone={({ grant }) => {
        if (grant.state === 'live') toast('You are let in', `Until ${grant.endsAt?.slice(11, 16)} UTC.`);
        else toast('Asked', 'Another operator has to confirm it within 15 minutes.');
        void client.invalidateQueries({ queryKey: ['production-access'] });
        onClose();
      }}
    />
  );
}

/** In the place of what was refused: ask here, wait here, and go on here. */
export function NeedsProduction({ problem }: { readonly problem: Problem }) {
  const client = useQueryClient();
  const session = useSession();
  const [asking, setAsking] = useState(false);
  const access = useProductionAccess(true);
  const own = access.data?.grants.filter((grant) => grant.own) ?? [];
  const live = own.find(({ state }) => state === 'live');
  const waiting = own.find(({ state }) => state === 'waiting');
  const needed = isScope(problem.needs) ? problem.needs : null;
  const isCovered = live !== undefined && needed !== null && live.scopes.includes(needed);
  const coveredAt = isCovered ? access.dataUpdatedAt : 0;
  useEffect(() => {
    // Each time that it is seen to be in force: what was refused is asked again until it is answered.
    if (coveredAt > 0) void client.invalidateQueries({ predicate: ({ state }) => state.status === 'error' });
  }, [client, coveredAt]);
  const wanted = PRODUCTION_SCOPES.filter((scope) => scope === needed || live?.scopes.includes(scope));
  return (
    <Notice kind="stale" title="This needs production access">
      <p>
        “{needed === null ? 'What you wanted' : scopeWords[needed]}” is open for a time only, to operators who say what
        for. Nothing was shown or changed.
      </p>
      {isCovered ? (
        <p>You are let in now. If it does not go on by itself, try again.</p>
      ) : waiting ? (
        <p>
          You have asked. Another operator has to confirm it before <Instant at={waiting.confirmBy} />; it goes on here
          by itself then.
        </p>
      ) : (
        access.data &&
        (session.method === 'link' ? (
          <p>You came in by a sign-in link. Sign in with a passkey of your own to ask for it.</p>
        ) : (
          <p>
            <Button look="primary" icon="key" onClick={() => setAsking(true)}>
              Ask for access…
            </Button>
          </p>
        ))
      )}
      {asking && access.data && (
        <AskAccess kind="grant" scopes={wanted} vouching={access.data.vouching} onClose={() => setAsking(false)} />
      )}
    </Notice>
  );
}
