// Which driver serves a tenant's key source. All are loaded before privileges are dropped: later nothing can be.
import { AppError, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { KekProvider } from '@auditrax/seal';
import { awsKmsProvider } from '@auditrax/seal/aws-kms';
import { outgoingGuard } from '@auditrax/seal/outgoing';
import { xksKekProvider } from '@auditrax/seal/xks';
import type { KeptSource, OpenedStore, OpenStore } from '../domains/keys/index.ts';

/** Loopback stand-ins that the house runs itself, so that its probes can rehearse with them; told by the supervisor. */
export interface StandIns {
  /** Exact origins, such as `https://127.0.0.1:40001`. */
  readonly origins: readonly string[];
  /** Their authority, PEM. */
  readonly ca: string;
}

export interface DriverDeps {
  /** Wraps first what goes to a store behind a proxy, so that the proxy never sees a data key. */
  readonly inner: KekProvider;
  readonly clock: Clock;
  readonly random: Random;
  readonly standIns: () => StandIns | undefined;
  /** Who signs for KMS keys whose tenants give no access key. */
  readonly awsIdentity: 'none' | 'default-chain';
  /** Absent where no HSM is configured. */
  readonly openPkcs11?: ((source: { tenantId: Uuid; keyLabel: string }) => Promise<OpenedStore>) | undefined;
}

type Given<Kind extends KeptSource['kind']> = {
  readonly sourceId: Uuid;
  readonly tenantId: Uuid;
  readonly source: Extract<KeptSource, { kind: Kind }>;
};

/** Opens sources of every kind; throws `kek_misconfigured` for one that can never work as it is. */
export function keyDrivers(deps: DriverDeps): OpenStore {
  return (given) => {
    switch (given.source.kind) {
      case 'aws-kms':
        return openAwsKms(deps, given as Given<'aws-kms'>);
      case 'xks':
        return openXks(deps, given as Given<'xks'>);
      case 'pkcs11':
        return openHsm(deps, given as Given<'pkcs11'>);
    }
  };
}

function isStandIn(standIns: StandIns | undefined, endpoint: string | undefined): boolean {
  return endpoint !== undefined && (standIns?.origins.includes(new URL(endpoint).origin) ?? false);
}

async function openAwsKms(deps: DriverDeps, { tenantId, source }: Given<'aws-kms'>): Promise<OpenedStore> {
  const { clock, random } = deps;
  const standIns = deps.standIns();
  const rehearsed = isStandIn(standIns, source.endpoint);
  const trust = rehearsed && standIns !== undefined ? { endpoints: standIns.origins, ca: standIns.ca } : {};
  // A stand-in has no instance of AWS around it: what the chain finds must not be shown to it.
  const installation = rehearsed ? 'none' : deps.awsIdentity;
  const provider = awsKmsProvider({ source, clock, random, tenantId, installation, ...trust });
  return { provider, isStandIn: rehearsed, material: provider, close: () => provider.close() };
}

async function openXks(deps: DriverDeps, { sourceId, source }: Given<'xks'>): Promise<OpenedStore> {
  const standIns = deps.standIns();
  const { kind: _kind, ...way } = source;
  const guard = outgoingGuard({ loopbackOrigins: standIns?.origins ?? [] });
  const { inner, clock, random } = deps;
  const provider = xksKekProvider({ sourceId, source: way, inner, guard, clock, random });
  return { provider, isStandIn: isStandIn(standIns, source.endpoint), close: () => provider.close() };
}

async function openHsm(deps: DriverDeps, { tenantId, source }: Given<'pkcs11'>): Promise<OpenedStore> {
  if (deps.openPkcs11 === undefined)
    throw new AppError('source_unavailable', 'this installation has no HSM: set AUDITRAX_PKCS11_MODULE');
  return deps.openPkcs11({ tenantId, keyLabel: source.keyLabel });
}
