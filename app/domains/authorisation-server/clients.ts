import { uuidV7, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { z } from 'zod';
import { auditFromCall } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import type { ApiAccess } from './access-words.ts';
import type { AuthorisationDeps } from './deps.ts';
import { notFound, refuse } from './errors.ts';
import { endGrants } from './grants.ts';
import * as queries from './queries.ts';
import { redirectFault, REDIRECTS_MAX } from './redirects.ts';

/** A firm has a handful; a list that nobody reads through hides one that nobody registered. */
export const CLIENTS_MAX = 50;
const NAME_CHARACTERS_MAX = 80;
const FIELD = 'identity.api_client.content' as const;

/** RFC 7517, of the two kinds that signatures are taken from. Strict: a private key pasted by mistake is refused. */
const publicKey = z.union([
  z.strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string().length(43), y: z.string().length(43) }),
  z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string().length(43) }),
]);
const stored = z.strictObject({
  name: z.string(),
  redirectUris: z.array(z.string()),
  key: publicKey.nullable(),
  /** Agents that people may let it hand work on to. */
  handsTo: z.array(z.uuid().transform((id) => id as Uuid)).default([]),
});

/** What an administrator has said of a program. */
export type ClientContent = z.output<typeof stored>;

/** A program with its words opened. */
export interface Client extends ClientContent, Omit<queries.ClientRow, 'content'> {}

export interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
}

/** With a passkey's approval of exactly what is done. */
export interface Approver extends Asker {
  readonly stepUp: StepUp;
}

export interface ClientInput {
  readonly name: string;
  readonly kind: queries.ClientKind;
  readonly access: ApiAccess;
  readonly redirectUris: readonly string[];
  /** JSON; of an agent, and of nothing else. */
  readonly publicKey: string | null;
  readonly handsTo: readonly Uuid[];
}

export type ClientDeps = Pick<AuthorisationDeps, 'tenant' | 'system' | 'sealer' | 'recordAudit' | 'clock' | 'random'>;

function readKey(kind: queries.ClientKind, text: string | null): ClientContent['key'] {
  if ((kind === 'agent') !== (text !== null))
    throw refuse('api_client_invalid', 'An agent has a public key, an application has none.', 'publicKey');
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse('api_client_invalid', 'Not JSON.', 'publicKey');
  }
  const parsed = publicKey.safeParse(value);
  if (!parsed.success)
    throw refuse('api_client_invalid', 'Needs a public JWK with P-256 or Ed25519 and no other member.', 'publicKey');
  return parsed.data;
}

/** What people read of a program, and where it is answered. Throws `api_client_invalid` with the field. */
export function checkWords({
  name,
  redirectUris,
}: Pick<ClientInput, 'name' | 'redirectUris'>): Pick<ClientContent, 'name' | 'redirectUris'> {
  // Shown where people decide: nothing in it may hide or turn around what stands beside it.
  if (name === '' || name !== name.trim() || name.length > NAME_CHARACTERS_MAX || /[\p{Cc}\p{Cf}\p{Cs}]/u.test(name))
    throw refuse('api_client_invalid', `1 to ${NAME_CHARACTERS_MAX} plain characters.`, 'name');
  if (redirectUris.length === 0 || redirectUris.length > REDIRECTS_MAX)
    throw refuse('api_client_invalid', `1 to ${REDIRECTS_MAX} addresses.`, 'redirectUris');
  for (const [index, uri] of redirectUris.entries()) {
    const fault = redirectFault(uri);
    if (fault !== undefined) throw refuse('api_client_invalid', fault, `redirectUris.${index}`);
    if (redirectUris.indexOf(uri) !== index)
      throw refuse('api_client_invalid', 'This address is there twice.', `redirectUris.${index}`);
  }
  return { name, redirectUris: [...redirectUris] };
}

/** What would be stored. Throws `api_client_invalid` with the field. */
function checkInput(input: ClientInput): ClientContent {
  return { ...checkWords(input), key: readKey(input.kind, input.publicKey), handsTo: [...new Set(input.handsTo)] };
}

/** Work is handed on to agents of this organisation alone, which prove themselves by a key. Throws `api_client_invalid`. */
export async function requireAgents(
  deps: Pick<AuthorisationDeps, 'tenant' | 'sealer'>,
  context: TenantContext,
  handsTo: readonly Uuid[],
): Promise<void> {
  const agents = handsTo.length === 0 ? [] : await liveAgents(deps, context, handsTo);
  if (agents.length < handsTo.length) throw refuse('api_client_invalid', 'No such agent is registered.', 'handsTo');
}

/** What is stored of a program. */
export function sealClient(
  deps: Pick<ClientDeps, 'sealer'>,
  context: TenantContext,
  { id, content }: { readonly id: Uuid; readonly content: ClientContent },
): Promise<Buffer> {
  return deps.sealer.seal({ context, field: FIELD, rowId: id, value: JSON.stringify(content) });
}

/** Registers a program, which can do nothing until a person allows it. Throws `api_client_invalid`, `api_clients_full`. */
export async function registerClient(deps: ClientDeps, who: Approver, input: ClientInput): Promise<Uuid> {
  const context = who.caller.tenant;
  const content = checkInput(input);
  await requireAgents(deps, context, content.handsTo);
  const id = uuidV7(deps.clock, deps.random);
  const sealed = await sealClient(deps, context, { id, content });
  await deps.tenant.transaction(context, async (tx) => {
    if ((await tx.query(queries.liveClients(context))).length >= CLIENTS_MAX)
      throw refuse('api_clients_full', `An organisation has at most ${CLIENTS_MAX} programs.`);
    const { kind, access } = input;
    const registered_at = new Date(deps.clock.nowMs());
    const row = { id, kind, access, content: sealed, registered_by: who.caller.personId, registered_at };
    await tx.query(queries.insertClient(context, row));
    await deps.recordAudit(tx, {
      ...auditFromCall(who),
      type: 'api-client.registered',
      resource: ['api-client', id],
      outcome: 'allowed',
      stepUpHash: who.stepUp.assertionHash,
      public: { kind, scope: access },
      disclosures: {
        name: content.name,
        redirects: content.redirectUris.join('\n'),
        ...(content.handsTo.length === 0 ? {} : { handsTo: content.handsTo.join('\n') }),
      },
    });
  });
  return id;
}

/** Removes a program and ends whatever people have allowed it. Throws `not_found`. */
export async function removeClient(deps: ClientDeps, who: Asker, id: Uuid): Promise<void> {
  const context = who.caller.tenant;
  await deps.tenant.transaction(context, async (tx) => {
    const removed = await tx.query(queries.removeClient(context, id, new Date(deps.clock.nowMs())));
    if (removed.length === 0) throw notFound();
    const facts = { resource: ['api-client', id], outcome: 'allowed' } as const;
    await deps.recordAudit(tx, { ...auditFromCall(who), ...facts, type: 'api-client.removed' });
  });
  // From the commit on none of them works: every use asks for the program too.
  const open = await deps.tenant.scoped(context, queries.openGrantsOfClient(context, id));
  await endGrants(deps, context, { ids: open.map((one) => one.id), reason: 'client-removed', by: auditFromCall(who) });
}

async function openContents(
  deps: Pick<AuthorisationDeps, 'sealer'>,
  context: TenantContext,
  rows: readonly queries.ClientRow[],
): Promise<Client[]> {
  const values = rows.map(({ id, content }) => ({ field: FIELD, rowId: id, sealed: content }));
  const texts = await deps.sealer.openTexts({ context, values });
  return rows.map(({ content: _sealed, ...row }, index) => ({ ...row, ...stored.parse(JSON.parse(texts[index]!)) }));
}

/** Every program that is registered. */
export async function listClients(
  deps: Pick<AuthorisationDeps, 'tenant' | 'sealer'>,
  context: TenantContext,
): Promise<Client[]> {
  return openContents(deps, context, await deps.tenant.scoped(context, queries.liveClients(context)));
}

/** Those of the programs that are agents still, in the order of the list. */
export async function liveAgents(
  deps: Pick<AuthorisationDeps, 'tenant' | 'sealer'>,
  context: TenantContext,
  ids: readonly Uuid[],
): Promise<Client[]> {
  const live = await listClients(deps, context);
  return live.filter(({ id, kind }) => kind === 'agent' && ids.includes(id));
}

/** A program that may be used; undefined: there is none, or it was removed. */
export async function findClient(
  deps: Pick<AuthorisationDeps, 'tenant' | 'sealer'>,
  context: TenantContext,
  id: Uuid,
): Promise<Client | undefined> {
  const rows = await deps.tenant.scoped(context, queries.clientById(context, id));
  return (
    await openContents(
      deps,
      context,
      rows.filter((row) => row.removed_at === null),
    )
  )[0];
}
