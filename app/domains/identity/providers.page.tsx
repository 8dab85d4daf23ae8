import { useQuery } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Button, buttonClass } from '../../ui/button.tsx';
import { Notice } from '../../ui/display.tsx';
import { TextField } from '../../ui/field.tsx';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import type { SsoOffers } from '../../shell/wire.ts';

/** As organisations' short names are written. */
const SHORT_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** What an organisation offers to sign in with; the same nothing for one that offers none and one that does not exist. */
function Offers({ organisation, isFirst }: { organisation: string; isFirst: boolean }) {
  const offers = useQuery({
    queryKey: ['sso-offers', organisation],
    queryFn: ({ signal }) =>
      request<SsoOffers>(`/api/sso/offers?organisation=${encodeURIComponent(organisation)}`, { signal }),
    retry: false,
  });
  if (offers.error) return <Failure error={offers.error} />;
  if (!offers.data) return null;
  if (offers.data.offers.length === 0)
    return (
      <Notice kind="stale" title="Nothing is offered under this name">
        <p>Check the spelling with your administrator, or sign in with a passkey.</p>
      </Notice>
    );
  return (
    <div className="stack stack--tight">
      {offers.data.offers.map(({ name, path }) => (
        // A page of the house, not of this app: it leads on to the provider.
        <a key={path} className={buttonClass({ wide: true, look: isFirst ? 'primary' : 'plain' })} href={path}>
          Sign in with {name}
        </a>
      ))}
    </div>
  );
}

/** Sign-in by the organisation's own provider, by its short name or by an address that has it. */
export function ProviderSignIn({
  organisation,
  isFirst,
}: {
  organisation: string | undefined;
  /** The one way in that works now. */
  isFirst: boolean;
}) {
  const [typed, setTyped] = useState('');
  const [asked, setAsked] = useState(organisation);
  const name = typed.trim().toLowerCase();
  const [error, setError] = useState<string>();
  const ask = (event: FormEvent) => {
    event.preventDefault();
    const isName = SHORT_NAME.test(name);
    setError(isName ? undefined : 'Write it as in the address: small letters, digits and hyphens.');
    if (isName) setAsked(name);
  };
  return (
    <section className="stack stack--tight" aria-label="Single sign-on">
      {organisation === undefined && (
        <form className="stack stack--tight" onSubmit={ask} noValidate>
          <TextField
            label="Short name of your organisation"
            help="It is in the sign-in address that your administrator gave you."
            value={typed}
            maxLength={63}
            autoComplete="organization"
            spellCheck={false}
            error={error}
            onChange={(event) => setTyped(event.target.value)}
          />
          <Button type="submit" wide>
            Go on with single sign-on
          </Button>
        </form>
      )}
      {asked !== undefined && <Offers key={asked} organisation={asked} isFirst={isFirst} />}
    </section>
  );
}
