// For every enforcer of a probed claim: what "nothing" in its place is. A gate replaced by nothing lets everything pass
// and breaks nothing else, so that what turns red is the claim and not the house around it.
import type { ServiceName } from '@auditrax/base';
import { TLS_FLOOR_ARGUMENTS } from '@auditrax/workload';

interface Named {
  readonly file: string;
  readonly export: string;
  /** What is left, in one line of the generated table. */
  readonly left: string;
}

/** An export of a module, replaced in the named processes' own memory. */
export interface ModuleMutant extends Named {
  readonly kind: 'module';
  /** An expression in the scope of the module; the name itself still means the original in it. */
  readonly nothing: string;
  readonly processes: readonly ServiceName[];
  /** Arguments of the runtime that are left out as well: a second wall that the claim does not speak of. */
  readonly without?: readonly string[];
  /** The tail of the log is put back afterwards to where it was, so that what was missed is told late and not never. */
  readonly rewindsTail?: true;
  /** Writes what the restored program refuses to read. These come last. */
  readonly leavesMarks?: true;
  /** Somebody who left kept something, which is told for a day: the sentinel is made to forget it before the next. */
  readonly leavesLeavers?: true;
  /** Only somebody who leaves by a signal can tell: it takes seconds more, and half a minute where it goes badly. */
  readonly bySignal?: true;
}

/** A function of the database, replaced by another body. */
export interface FunctionMutant extends Named {
  readonly kind: 'function';
  readonly signature: string;
  readonly nothing: string;
}

/** Row-level security of every table that a tenant's rows are in, switched off. */
export interface WallMutant extends Named {
  readonly kind: 'wall';
}

/** The application's role is given every right of the owner. */
export interface GrantMutant extends Named {
  readonly kind: 'grant';
}

export type Mutant = ModuleMutant | FunctionMutant | WallMutant | GrantMutant;

const PLATFORM_SQL = 'app/platform/db/migrations/20261122090000_platform.sql';
/** Holds the commit guard as it is now, and the guard of sealed values. */
const AUDIT_SQL = 'app/domains/keys/migrations/20261123093100_keys_reseal.sql';
const GUARD_SQL = 'app/platform/audit/migrations/20261123140000_guard_statements.sql';

// A blob of the sealed form with the plain value in it; all zero where the nonce belongs, so that it is known again.
const CLEAR_BLOB = `(value, version) => {
  const head = Buffer.alloc(30);
  head[0] = 0xa7; head[1] = 0x01; head.writeUInt32BE(version, 2);
  return Buffer.concat([head, Buffer.from(value), Buffer.alloc(16)]);
}`;
const OPEN_CLEAR_BLOB = `(sealed) => {
  const blob = Buffer.from(sealed);
  return blob.subarray(6, 30).every((byte) => byte === 0) ? blob.subarray(30, -16) : undefined;
}`;

const OWN_STORE_UNASKED = 'data keys kept here in the open, and the store is never asked';

/** A driver that keeps data keys by itself under the name of the tenant's key. */
function unasked(driver: string, kekRef: string): string {
  return `((make) => (given) => {
    const open = (dek) => ({ wrapped: Buffer.concat([dek, Buffer.alloc(32)]), kekRef: ${kekRef} });
    return {
      ...make(given),
      generateDek: async () => {
        const dek = Buffer.from(given.random.bytes(32));
        return { dek, ...open(dek) };
      },
      wrap: async (dek) => open(dek),
      unwrap: async ({ wrapped }) => Buffer.from(wrapped.subarray(0, 32)),
      health: async () => ({ ok: true }),
    };
  })(${driver})`;
}

function at(file: string, name: string): { kind: 'module'; file: string; export: string } {
  return { kind: 'module', file, export: name };
}

const PAGES: readonly Mutant[] = [
  {
    ...at('app/domains/trust/model.ts', 'buildPage'),
    left: 'a page of the claims alone: no run of a probe goes into it',
    nothing: '((build) => (input) => build({ ...input, observations: [] }))(buildPage)',
    processes: ['sentinel'],
  },
  {
    ...at('app/claims/grade.ts', 'gradeClaim'),
    left: 'every claim is proven and green, whatever was seen',
    nothing: `() => ({ grade: 'proven', state: 'green', standing: 'proven', detail: 'All is well.', strip: [] })`,
    processes: ['sentinel'],
  },
  {
    ...at('app/domains/trust/publish.ts', 'renderRevision'),
    left: 'a revision of one empty page',
    nothing: `({ model: { revision, validUntil_ms, digest } }) => ({
      revision, validUntil_ms, digest, files: [{ path: '/security', mediaType: 'text/plain; charset=utf-8', content: '' }],
    })`,
    processes: ['sentinel'],
  },
  {
    ...at('app/domains/vendors/public.ts', 'vendorFiles'),
    left: 'no page of the register',
    nothing: '() => () => []',
    processes: ['sentinel'],
  },
  {
    ...at('app/domains/vendors/registry.ts', 'checkRegistry'),
    left: 'every register is fine',
    nothing: '() => []',
    processes: ['sentinel'],
  },
  {
    ...at('app/domains/disclosure/public.ts', 'disclosureFiles'),
    left: 'no policy page and no security.txt',
    nothing: '() => () => []',
    processes: ['sentinel'],
  },
  {
    ...at('app/domains/disclosure/policy.ts', 'checkPolicy'),
    left: 'every policy is fine',
    nothing: '() => []',
    processes: ['sentinel'],
  },
  {
    ...at('app/domains/disclosure/security-txt.ts', 'securityTxt'),
    left: 'an empty file',
    nothing: `() => ''`,
    processes: ['sentinel'],
  },
];

const WATCH: readonly Mutant[] = [
  {
    ...at('app/domains/detections/rules.ts', 'detect'),
    left: 'no event raises an alert',
    nothing: '() => []',
    processes: ['sentinel'],
    rewindsTail: true,
  },
  {
    ...at('app/domains/detections/tail.ts', 'createTail'),
    left: 'nobody follows the log',
    nothing: '() => ({ runOnce: async () => 0, start() {}, stop: async () => {}, position: async () => 0n })',
    processes: ['sentinel'],
    rewindsTail: true,
  },
  {
    ...at('app/domains/oncall/pager.ts', 'createPager'),
    left: 'alerts go nowhere',
    nothing: '() => ({ raise: async () => {}, deliverOnce: async () => 0, start() {}, stop: async () => {} })',
    processes: ['sentinel'],
    rewindsTail: true,
  },
  {
    ...at('app/platform/audit/attempts.ts', 'attemptRecorder'),
    left: 'refusals are recorded nowhere',
    nothing: `() => ({
      record: async () => ({ entryId: '00000000-0000-4000-8000-000000000000', sessionOver: false }),
      flush: async () => {},
    })`,
    processes: ['workspace', 'issuer'],
  },
];

/** Where a tenant is, and who gets in there. */
const PLACES: readonly Mutant[] = [
  {
    ...at('packages/tenancy/src/placed.ts', 'openPlacedDatabase'),
    left: 'every tenant in the shared tables of home',
    nothing: `((open) => (options) => open({
      ...options,
      placeOf: async () => ({ cell: options.home, region: 'home', schema: 'app', role: 'ax_workspace', version: 0 }),
    }))(openPlacedDatabase)`,
    processes: ['workspace'],
  },
  {
    ...at('app/platform/objects/store.ts', 'openRegionalStore'),
    left: 'the files of every region in the store of home',
    nothing: `((open) => (options) => open({ ...options, regionOf: async () => [...options.stores.keys()][0] }))(openRegionalStore)`,
    processes: ['workspace'],
  },
  {
    ...at('packages/tenancy/src/placing.ts', 'placeText'),
    left: 'statements go out as they were written',
    nothing: '(text) => text',
    processes: ['workspace'],
  },
  {
    kind: 'function',
    file: 'app/platform/db/migrations/20261123141000_scope_marks.sql',
    export: 'app.enter_place',
    signature: 'app.enter_place(uuid, integer)',
    left: 'whoever logs in enters any tenant, wherever it lives',
    nothing: `create or replace function app.enter_place(tenant uuid, place_version integer) returns text
      language sql as 'select tenant::text'`,
  },
];

const DOORS: readonly Mutant[] = [
  {
    ...at('packages/workload/src/strict-tls.ts', 'strictTls'),
    left: 'what the runtime and OpenSSL come with',
    nothing: '() => ({})',
    processes: ['gateway'],
    without: TLS_FLOOR_ARGUMENTS,
  },
  {
    ...at('packages/workload/src/tls.ts', 'serverTls'),
    left: 'a certificate is asked for and not checked in the handshake',
    nothing: '((make) => (material) => ({ ...make(material), rejectUnauthorized: false }))(serverTls)',
    processes: ['workspace'],
  },
  {
    ...at('app/platform/http/peer-gate.ts', 'requirePeer'),
    left: 'every peer may call every route',
    nothing: '() => true',
    processes: ['workspace'],
  },
  {
    ...at('app/platform/http/peer-gate.ts', 'isProcess'),
    left: 'whoever the authority has signed for may ask how the process is',
    nothing: '(peer) => peer !== undefined',
    processes: ['keys'],
  },
  {
    ...at('app/platform/http/service.ts', 'startService'),
    left: 'the process listens at one more socket, as well guarded as the first, and tells nobody',
    nothing: `((start) => async (options) => {
      const server = process.getBuiltinModule('node:tls').createServer(serverTls(options.identity.current()));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      return start(options);
    })(startService)`,
    processes: ['signer'],
  },
  {
    ...at('app/platform/http/token-gate.ts', 'requireToken'),
    left: 'a token is read and believed',
    nothing: `(verifier, needed, { compact }) => {
      try {
        const claims = JSON.parse(Buffer.from(compact.split('.')[1], 'base64url').toString('utf8'));
        const hash = process.getBuiltinModule('node:crypto').createHash('sha256').update(compact).digest('base64url');
        return { ok: true, claims, hash };
      } catch {
        return { ok: false, reason: 'missing' };
      }
    }`,
    processes: ['workspace', 'issuer'],
  },
  {
    ...at('app/platform/http/token-gate.ts', 'tokenClassOf'),
    left: 'a token made for reading is good for everything',
    nothing: `((of) => (contract) => (of(contract) === undefined ? undefined : 'read'))(tokenClassOf)`,
    processes: ['workspace', 'issuer'],
  },
  {
    ...at('app/platform/http/policy-gate.ts', 'requirePolicy'),
    left: 'every role may do everything',
    nothing: `() => 'allowed'`,
    processes: ['workspace', 'issuer'],
  },
  {
    ...at('app/domains/engagements/gate.ts', 'permitEngagement'),
    left: 'every row is open to whoever may call the route',
    nothing: '() => {}',
    processes: ['workspace'],
  },
  {
    ...at('packages/policy/src/policy-set.ts', 'loadPolicies'),
    left: 'policies that permit everything and filter nothing',
    nothing: `((load) => (input) => ({
      ...load(input),
      decide: () => ({ allowed: true, reasons: [] }),
      compileFilter: () => ({ sql: 'true', parameters: [], strings: ['true'], values: [] }),
    }))(loadPolicies)`,
    processes: ['workspace', 'issuer'],
  },
  {
    ...at('app/platform/edge/tenant-tag.ts', 'checkTenantTag'),
    left: 'every id passes the gateway',
    nothing: '() => ({ ok: true })',
    processes: ['gateway'],
  },
];

const PEOPLE: readonly Mutant[] = [
  {
    ...at('app/domains/access-reviews/deciding.ts', 'decide'),
    left: 'every decision about anybody’s access is answered with a yes, and none is written down',
    nothing: 'async () => 0',
    processes: ['issuer'],
  },
  {
    ...at('app/domains/access-reviews/tend.ts', 'tendReview'),
    left: 'decisions are written down, and neither they nor a deadline have any effect',
    nothing: 'async () => {}',
    processes: ['issuer'],
  },
  {
    ...at('app/domains/access-reviews/removing.ts', 'carryOut'),
    left: 'a removal is decided and never done',
    nothing: 'async () => {}',
    processes: ['issuer'],
  },
  {
    ...at('app/domains/identity/revocation.ts', 'revokePrincipal'),
    left: 'whoever leaves stays a member and keeps one session; their links and other sessions end',
    nothing: `async (deps, context, { memberId }) => {
      await deps.tenant.transaction(context, async (tx) => {
        const open = await tx.query(queries.openSessionsOf(context.tenantId, memberId));
        const sessionIds = open.slice(0, -1).map(({ id }) => id);
        await closeThese(deps, tx, { sessionIds, reason: 'suspended', actor: { service: 'issuer' } });
        await tx.query(queries.deleteLinksOf(context.tenantId, memberId));
      });
      return [];
    }`,
    processes: ['issuer'],
    leavesLeavers: true,
  },
  {
    ...at('app/domains/identity/evictions.ts', 'createEvictions'),
    left: 'no gateway is told who has left; the feed beats on',
    nothing: `((make) => (parts) => ({ ...make(parts), endSession() {}, endPerson() {} }))(createEvictions)`,
    processes: ['issuer'],
    leavesLeavers: true,
  },
  {
    ...at('app/platform/edge/follow-evictions.ts', 'followEvictions'),
    left: 'the gateway hears nothing, and believes what it has kept',
    nothing: `() => ({ isHeard: () => true, finding: () => ({ check: 'evictions', ok: true, detail: '' }), close() {} })`,
    processes: ['gateway'],
    leavesLeavers: true,
  },
  {
    ...at('app/domains/provisioning/tokens.ts', 'recognise'),
    left: 'every token, and none, opens the connection of its address',
    nothing: `(async (deps, { connectionId, requestId }) => {
      const { context, kind } = await findConnection(deps, connectionId, requestId);
      const [row] = await deps.tenant.scoped(context, queries.tokensOf(context, connectionId));
      const connection = await connectionOf(deps, context, connectionId);
      const base = deps.doors.edge.origins[0] + '/scim/v2/' + connectionId;
      const place = { context, tenantKind: kind, connection, dialect: dialectOf(connection), base };
      return { ...place, out: new Map(), unended: [], tokenId: row.id };
    })`,
    processes: ['issuer'],
    leavesLeavers: true,
  },
  {
    ...at('packages/scim/src/write.ts', 'patchResource'),
    left: 'a PATCH that says no to `active` is read as a yes',
    nothing: `((read) => (order) => {
      const verdict = read(order);
      if (verdict.kind === 'refused') return verdict;
      const entries = Object.entries(verdict.resource).filter(([name]) => name !== 'active');
      return { ...verdict, resource: branchOf([...entries, ['active', true]]), standing: 'reactivate' };
    })(patchResource)`,
    processes: ['issuer'],
    leavesLeavers: true,
  },
  {
    ...at('packages/scim/src/standing.ts', 'speaksOfLeaving'),
    left: 'a message that cannot be read says nothing of leaving',
    nothing: '() => false',
    processes: ['issuer'],
    leavesLeavers: true,
  },
  {
    ...at('app/domains/signal-receiver/acting.ts', 'act'),
    left: 'a provider’s signal is kept and answered, and nothing is done',
    nothing: 'async () => {}',
    processes: ['issuer'],
    leavesLeavers: true,
    bySignal: true,
  },
  {
    ...at('app/domains/signal-receiver/keeping.ts', 'storeOf'),
    left: 'a signal counts as often as it comes',
    nothing: `((make) => (deps, place, kept) => ({
      keep: (set, forget_ms) =>
        make(deps, place, kept).keep({ ...set, tokenId: uuidV7(deps.clock, deps.random) }, forget_ms),
    }))(storeOf)`,
    processes: ['issuer'],
    leavesLeavers: true,
    bySignal: true,
  },
  {
    ...at('packages/signals/src/set.ts', 'verifySet'),
    left: 'every signal is believed, whoever made it, for whomever and whenever',
    nothing: `async ({ token, stream }) => {
      const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString('utf8'));
      const events = parseEvents(claims.events);
      const subject = parseSubject(claims.sub_id);
      const said = { tokenId: claims.jti, issuedAt_ms: claims.iat * 1000, transactionId: undefined, subject, token };
      return { ...said, events, ...judge(events, findSubject(subject, stream)) };
    }`,
    processes: ['issuer'],
    leavesLeavers: true,
    bySignal: true,
  },
  {
    ...at('packages/signals/src/subject.ts', 'findSubject'),
    left: 'a provider speaks of the people of every other',
    nothing: `((find) => (subject, stream) =>
      find(subject, { ...stream, subjectIssuers: { includes: () => true } }))(findSubject)`,
    processes: ['issuer'],
    leavesLeavers: true,
    bySignal: true,
  },
  {
    ...at('app/domains/identity/passkey.ts', 'verifyAssertion'),
    left: 'every answer of a known passkey is taken',
    nothing: `async ({ response }) => ({
      ok: true,
      counter: Buffer.from(response.response.authenticatorData, 'base64url').readUInt32BE(33),
    })`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/identity/passkey.ts', 'verifyRegistration'),
    left: 'every new passkey is taken',
    nothing: `async ({ response }) => {
      const client = JSON.parse(Buffer.from(response.response.clientDataJSON, 'base64url').toString('utf8'));
      const { registrationInfo } = await verifyRegistrationResponse({
        response,
        expectedChallenge: client.challenge,
        expectedOrigin: client.origin,
        requireUserPresence: false,
        requireUserVerification: false,
      });
      const { id, publicKey, counter } = registrationInfo.credential;
      return { ok: true, passkey: { id, publicKey, counter, transports: [] }, deviceType: registrationInfo.credentialDeviceType };
    }`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/identity/challenges.ts', 'consumeChallenge'),
    left: 'a challenge can be answered again and again, at any door',
    nothing: `async (deps, id) => {
      const [row] = await deps.system.system(takeChallenge(id));
      if (row === undefined) throw new AppError('challenge_unusable', 'there never was one');
      await deps.system.system(insertChallenge(row));
      return row;
    }`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/access/step-up-verifier.ts', 'createStepUpVerifier'),
    left: 'every confirmation fits every action',
    nothing: `() => async (claims, { header }) => ({ assertionHash: readStepUpHeader(header)?.hash ?? '', credentialId: '' })`,
    processes: ['issuer', 'workspace'],
  },
  {
    ...at('app/domains/access/second-passkey.ts', 'requireSecondPasskey'),
    left: 'one passkey is enough to approve',
    nothing: '() => undefined',
    processes: ['issuer'],
  },
  {
    ...at('app/domains/access/step-up-digest.ts', 'stepUpDigest'),
    left: 'the same challenge for every action',
    nothing: '() => Buffer.alloc(32, 1)',
    processes: ['issuer', 'workspace'],
  },
];

/** Sign-in by a provider of the tenant's. */
const PROVIDERS: readonly Mutant[] = [
  {
    ...at('packages/oidc/src/sign-in.ts', 'finishSignIn'),
    left: 'whatever the provider has signed is believed: no nonce, issuer, audience or time',
    nothing: `async (input, ports) => {
      const { request } = input;
      const { answer } = await exchange(input, { request, parameters: new URLSearchParams(input.query) }, ports);
      const claims = await verifyToken(answer.id_token, { algorithm: 'RS256', types: ID_TOKEN_TYPES }, input.keys);
      return { key: claims.sub, subject: claims.sub, claims: new Map(Object.entries(claims)), idToken: answer.id_token };
    }`,
    processes: ['issuer'],
  },
  {
    ...at('packages/oidc/src/callback.ts', 'checkCallback'),
    left: 'every answer is that of our own provider',
    nothing: `({ query, request }, { connection }) => {
      const code = new URLSearchParams(query).get('code');
      return { request, parameters: new URLSearchParams({ code, state: request.state, iss: connection.issuer }) };
    }`,
    processes: ['issuer'],
  },
  {
    ...at('packages/oidc/src/token.ts', 'verifyToken'),
    left: 'a token is read and believed, whoever signed it',
    nothing: `async (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString('utf8'))`,
    processes: ['issuer'],
  },
  {
    ...at('packages/oidc/src/claims.ts', 'checkParties'),
    left: 'a token is for whomever it is for',
    nothing: '() => {}',
    processes: ['issuer'],
  },
  {
    ...at('packages/oidc/src/profiles.ts', 'PROFILES'),
    left: 'every provider is treated as any other',
    nothing: 'Object.fromEntries(Object.keys(PROFILES).map((name) => [name, PROFILES.other]))',
    processes: ['issuer'],
  },
  {
    ...at('packages/saml/src/verify.ts', 'verifyMessage'),
    left: 'every signature holds',
    nothing: `async ({ base64 }, { certificates }) => {
      const text = Buffer.from(base64, 'base64').toString('utf8');
      const assertionXml = text.slice(text.indexOf('<saml:Assertion'), text.lastIndexOf('</samlp:Response>'));
      return { assertionXml, certificate: certificates[0], isAssertionSigned: true };
    }`,
    processes: ['issuer'],
  },
  {
    ...at('packages/saml/src/assertion.ts', 'readAssertion'),
    left: 'what is signed is believed: no audience, recipient, request or time',
    nothing: `(assertion, { connection }) => {
      const claims = readClaims(assertion);
      return {
        assertionId: assertion.attributes.get('ID'),
        issuer: connection.idpEntityId,
        subject: readSubject(assertion, connection.spEntityId),
        authnInstant_ms: Date.now(),
        notOnOrAfter_ms: Date.now() + 60_000,
        attributes: new Map(claims.map(({ name, values }) => [name, values])),
        claims,
      };
    }`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/sso/requests.ts', 'takeRequest'),
    left: 'a sign-in can be answered again and again',
    nothing: `((take) => async (deps, tenant, answer) => {
      const at = deps.system.at(tenant.context.tenantId);
      let row;
      const system = (statement) => at.system(statement).then((rows) => ((row = rows[0]), rows));
      const pending = await take({ ...deps, system: { at: () => ({ system }) } }, tenant, answer);
      await at.system(queries.insertRequest(row));
      return pending;
    })(takeRequest)`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/sso/requests.ts', 'browserSecret'),
    left: 'every browser has the same secret',
    nothing: `() => 'A'.repeat(43)`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/authorisation-server/server.ts', 'REQUEST_RULES'),
    left: 'a program need not bind its code to a verifier',
    nothing: '{ ...REQUEST_RULES, pkce: { required: () => false } }',
    processes: ['issuer'],
  },
  {
    ...at('app/domains/authorisation-server/store.ts', 'metadataOf'),
    left: 'every address of the person’s own machine is registered',
    nothing: `((of) => (client) => {
      const metadata = of(client);
      return { ...metadata, redirect_uris: [...metadata.redirect_uris, 'http://127.0.0.1/elsewhere'] };
    })(metadataOf)`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/authorisation-server/store.ts', 'storageFor'),
    left: 'what was used is used again: codes, requests and refresh tokens',
    nothing: `((make) => (deps, storing) => {
      const adapterOf = make(deps, storing);
      return (model) => ({ ...adapterOf(model), consume: async () => {} });
    })(storageFor)`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/authorisation-server/proof.ts', 'takeProof'),
    left: 'a proof names its key, and nothing else of it is looked at',
    nothing: `async (deps, proof) => {
      const [head, claims] = proof.split('.').map((part) => Buffer.from(part, 'base64url').toString('utf8'));
      const thumbprint = await calculateJwkThumbprint(JSON.parse(head).jwk);
      return { ok: true, thumbprint, jti: JSON.parse(claims).jti, nextNonce: nextNonce(deps.clock) };
    }`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/authorisation-server/token-exchange.ts', 'narrow'),
    left: 'an agent gets what it asks for',
    nothing: `(subject, agent, asked) => asked ?? 'write'`,
    processes: ['issuer'],
  },
  {
    ...at('app/domains/sso/proof.ts', 'once'),
    left: 'nobody remembers which assertions were used',
    nothing: '() => async () => true',
    processes: ['issuer'],
  },
  {
    ...at('app/domains/identity/accounts.ts', 'arrive'),
    left: 'people are found by their name or address',
    nothing: `((enter) => (deps, tx, newcomer) => enter(deps, tx, { ...newcomer, subject: newcomer.shown }))(arrive)`,
    processes: ['issuer'],
  },
];

const SEALS: readonly Mutant[] = [
  {
    ...at('app/domains/evidence/card-number.ts', 'refuseCardNumber'),
    left: 'every text is taken',
    nothing: '() => []',
    processes: ['workspace'],
  },
  {
    ...at('app/domains/evidence/card-number.ts', 'findCardNumber'),
    left: 'no text reads as a card number',
    nothing: '() => undefined',
    processes: ['workspace'],
  },
  {
    ...at('app/domains/keys/service.ts', 'maySeal'),
    left: 'a key seals at any age',
    nothing: '() => true',
    processes: ['workspace'],
  },
  {
    ...at('app/domains/keys/key-stores.ts', 'openKeyStores'),
    left: 'every data key under the installation’s own key',
    nothing: `((make) => (deps) => ({
      ...make(deps),
      generateDek: (context) => deps.installation.generateDek(context),
      unwrap: (wrapped, context) => deps.installation.unwrap(wrapped, context),
    }))(openKeyStores)`,
    processes: ['keys'],
  },
  {
    ...at('app/domains/keys/leases.ts', 'watchLeases'),
    left: 'nobody asks whether a key was withdrawn',
    nothing: '() => ({ look: async () => {}, stop: () => {} })',
    processes: ['workspace'],
  },
  {
    ...at('packages/seal/src/providers/pkcs11/provider.ts', 'pkcs11KekProvider'),
    left: 'a key in memory that every asker may use',
    nothing: `({ random }) => {
      const dek = Buffer.from(random.bytes(32));
      return {
        generateDek: async () => ({ dek, wrapped: Buffer.alloc(64), kekRef: 'pkcs11:none/00' }),
        unwrap: async () => dek,
        describeKek: async () => ({}),
        describe: async () => ({ hardware: false, details: {} }),
      };
    }`,
    processes: ['sentinel'],
  },
  {
    ...at('app/domains/keys/vault.ts', 'createVault'),
    left: 'the provider without the room’s rules: no refusal is told',
    nothing: `({ provider }) => ({
      generate: async (context) => {
        const { dek, wrapped, kekRef } = await provider.generateDek(context);
        return { wrapped, kekRef, commitment: dekCommitment(dek, context) };
      },
      unwrap: (wrapped, context) => provider.unwrap(wrapped, context),
      rewrap: async (wrapped, context) => provider.wrap(await provider.unwrap(wrapped, context), context),
      describe: async () => ({ ...(await provider.describe()), health: await provider.health() }),
    })`,
    processes: ['keys'],
  },
  {
    kind: 'function',
    file: AUDIT_SQL,
    export: 'platform.guard_sealed',
    signature: 'platform.guard_sealed()',
    left: 'sealed values may become anything',
    nothing: `create or replace function platform.guard_sealed() returns trigger
      language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin return new; end'`,
  },
  {
    ...at('packages/seal/src/providers/aws-kms/provider.ts', 'awsKmsProvider'),
    left: OWN_STORE_UNASKED,
    nothing: unasked('awsKmsProvider', '`aws-kms:${given.source.keyArn}`'),
    processes: ['keys'],
  },
  {
    ...at('packages/seal/src/providers/xks/provider.ts', 'xksKekProvider'),
    left: OWN_STORE_UNASKED,
    nothing: unasked('xksKekProvider', '`xks:${given.sourceId}`'),
    processes: ['keys'],
  },
  {
    ...at('packages/seal/src/field.ts', 'openField'),
    left: 'decrypted without a look at tag, tenant, table or row',
    // Counter mode: encrypting the ciphertext again with the same nonce gives the plaintext.
    nothing: `({ key }, sealed) => {
      const cipher = sealed.subarray(30, sealed.length - 16);
      const output = Buffer.alloc(cipher.length + 40);
      output.set(sealed.subarray(6, 30));
      const table = Uint32Array.of(0, 0, 0, cipher.length, 0);
      key.key.run({ seals: true, count: 1, table, aad: Buffer.alloc(0), input: cipher, output });
      return output.subarray(24, 24 + cipher.length);
    }`,
    processes: ['workspace'],
  },
  {
    ...at('packages/seal/src/chunked.ts', 'sealChunks'),
    left: 'files as they came, in the sealed form',
    nothing: `((open) => {
      const [size, tag] = [SEALED_CHUNK_BYTES, 16];
      openChunks = (key, job) => {
        const { input, output } = job;
        const first = input.subarray(0, size);
        if (!first.subarray(first.length - tag).every((byte) => byte === 0)) return open(key, job);
        let done = 0;
        for (let at = 0; at < input.length; at += size, done += 1) {
          const sealed = input.subarray(at, at + size);
          output.set(sealed.subarray(0, sealed.length - tag), done * CHUNK_BYTES);
        }
        return done;
      };
      return (key, { input, output, isEnd }) => {
        const count = Math.floor(input.length / CHUNK_BYTES) + (isEnd ? 1 : 0);
        for (let i = 0; i < count; i += 1) {
          const plaintext = input.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
          output.set(plaintext, i * size);
          output.fill(0, i * size + plaintext.length, i * size + plaintext.length + tag);
        }
        return count;
      };
    })(openChunks)`,
    processes: ['workspace'],
    leavesMarks: true,
  },
  {
    ...at('app/domains/keys/sealer.ts', 'createSealer'),
    left: 'values as they came, in the sealed form',
    nothing: `((make) => (deps) => {
      const [clear, openClear] = [${CLEAR_BLOB}, ${OPEN_CLEAR_BLOB}];
      const real = make(deps);
      const openBytes = async (input) => openClear(input.sealed) ?? real.openBytes(input);
      const openTexts = (input) => Promise.all(input.values.map(async (one) =>
        openClear(one.sealed)?.toString('utf8') ?? (await real.openTexts({ ...input, values: [one] }))[0]));
      return {
        ...real,
        openTexts,
        openNames: openTexts,
        seal: async ({ value }) => clear(typeof value === 'string' ? Buffer.from(value, 'utf8') : value, 1),
        openBytes,
        openText: async (input) => (await openBytes(input)).toString('utf8'),
      };
    })(createSealer)`,
    processes: ['workspace'],
    leavesMarks: true,
  },
  {
    ...at('packages/seal/src/field.ts', 'sealField'),
    left: 'values as they came, in the sealed form',
    nothing: `((open, many) => {
      const [clear, openClear] = [${CLEAR_BLOB}, ${OPEN_CLEAR_BLOB}];
      openField = (input, sealed) => openClear(sealed) ?? open(input, sealed);
      openMany = (input, fields) => fields.map((one) => openClear(one.sealed) ?? many(input, [one])[0]);
      return (input, value) => clear(value, input.key.version);
    })(openField, openMany)`,
    processes: ['workspace'],
    leavesMarks: true,
  },
];

const TENANCY: readonly Mutant[] = [
  {
    ...at('packages/tenancy/src/guard.ts', 'checkStatement'),
    left: 'every statement passes the guard',
    nothing: '() => ({ allowed: true, relations: [], tenantParameters: [] })',
    processes: ['workspace'],
  },
  {
    ...at('packages/tenancy/src/guard.ts', 'checkParameters'),
    left: 'every value passes the guard',
    nothing: '() => true',
    processes: ['workspace'],
  },
  {
    ...at('packages/tenancy/src/driver.ts', 'makeTenantDoor'),
    left: 'a door that sets the scope and asks nobody',
    nothing: `({ router }) => ({
      scoped: async (context, statement) => (await runOnce(tenantPath(router, context), statement)).rows,
      transaction: (context, work) =>
        inTransaction(tenantPath(router, context), (runner) =>
          work({
            context,
            query: async (statement) => (await runner.run((route) => route.step(statement))).rows,
            defer: (statement) => runner.defer((route) => route.step(statement)),
            afterCommit: runner.afterCommit,
          }),
        ),
      stream: (context, statement, options) => streamRows(tenantPath(router, context), statement, options),
    })`,
    processes: ['workspace'],
  },
  {
    kind: 'function',
    file: PLATFORM_SQL,
    export: 'app.trip',
    signature: 'app.trip(uuid)',
    left: 'rows of other tenants may be met',
    nothing: `create or replace function app.trip(row_tenant uuid) returns boolean
      language sql volatile parallel safe as 'select true'`,
  },
  {
    kind: 'wall',
    file: PLATFORM_SQL,
    export: 'platform.protect_tenant_table',
    left: 'tables without row-level security',
  },
];

const LOG: readonly Mutant[] = [
  {
    kind: 'function',
    file: GUARD_SQL,
    export: 'audit.check_note',
    signature: 'audit.check_note()',
    left: 'rows commit without an entry',
    nothing: `create or replace function audit.check_note() returns trigger
      language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin return null; end'`,
  },
  {
    ...at('app/platform/audit/signer.ts', 'judgeGrowth'),
    left: 'whatever the sequencer says is signed',
    nothing: `async () => 'ok'`,
    processes: ['signer'],
  },
];

/** Every mutant, in no particular order. */
export const MUTANTS: readonly Mutant[] = [
  ...PAGES,
  ...WATCH,
  ...DOORS,
  ...PLACES,
  ...PEOPLE,
  ...PROVIDERS,
  ...SEALS,
  ...TENANCY,
  ...LOG,
];

/** The walls between tenants in the order in which a request meets them, each with what is left when it is gone. */
export const LAYERS = {
  gateway: mutantOf('checkTenantTag'),
  parser: {
    ...at('app/platform/http/id-gate.ts', 'readIds'),
    left: 'ids are taken apart and nothing is checked',
    nothing: `(places, sources) => {
      const ids = {};
      for (const place of Object.keys(places)) {
        const text = valueAt(sources, place);
        if (typeof text !== 'string') continue;
        const hex = Buffer.from(text.slice(text.indexOf('_') + 1), 'base64url').subarray(4, 20).toString('hex');
        ids[place] = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      }
      return { ok: true, ids };
    }`,
    processes: ['workspace'],
  },
  guard: mutantOf('checkStatement'),
  tripwire: mutantOf('platform.protect_tenant_table'),
  grant: {
    kind: 'grant',
    file: 'app/platform/db/roles.ts',
    export: 'setUpRoles',
    left: 'the application’s role has every right of the owner',
  },
  role: mutantOf('app.enter_place'),
} as const satisfies Readonly<Record<string, Mutant>>;

export type Layer = keyof typeof LAYERS;

function mutantOf(name: string): Mutant {
  const found = MUTANTS.find((mutant) => mutant.export === name);
  if (found === undefined) throw new Error(`no mutant replaces ${name}`);
  return found;
}

/** `file#export`. */
export function nameOf(enforcer: { readonly file: string; readonly export: string }): string {
  return `${enforcer.file}#${enforcer.export}`;
}
