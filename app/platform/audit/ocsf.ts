import type { Json } from '@auditrax/base';
import { readLeafBody, type LeafBody } from './leaf.ts';

/**
 * The schema that events are written in. Pinned: User Management (3007) and Role Management (3008) replace Account
 * Change (3001) and User Access (3005) from this version on, so an older one would name deprecated classes.
 */
export const OCSF_VERSION = '1.9.0-dev';

/** Where an entry stands in its log; without it (not sequenced yet) the event carries no attestation. */
export interface OcsfPlace {
  readonly tenantId: string;
  readonly origin: string;
  readonly index: number;
  /** RFC 6962: SHA-256(0x00 || leaf). */
  readonly leafHash: Uint8Array;
}

const CLASSES = {
  3002: 'Authentication',
  3003: 'Authorize Session',
  3004: 'Entity Management',
  3006: 'Group Management',
  3007: 'User Management',
  3008: 'Role Management',
  6003: 'API Activity',
  6005: 'Datastore Activity',
} as const;
type ClassId = keyof typeof CLASSES;
type Placement = readonly [classId: ClassId, activity: number];
type Attributes = Readonly<Record<string, Json>>;

const OTHER = 99;
const CATEGORIES: Readonly<Record<string, string>> = {
  3: 'Identity & Access Management',
  6: 'Application Activity',
};

/** Types whose class or activity does not follow from their last word. Activities are those of the class. */
const BY_TYPE: Readonly<Record<string, Placement>> = {
  'session.opened': [3002, 1],
  'session.closed': [3002, 2],
  'sign-in.refused': [3002, 1],
  'link.issued': [3002, 3],
  'link.used': [3002, 6],
  'passkey.clone-suspected': [3002, OTHER],
  'step-up.missing': [3003, 1],
  'step-up.refused': [3003, 1],
  'passkey.registered': [3007, 12],
  'passkey.removed': [3007, 13],
  'member.created': [3007, 1],
  'member.invited': [3007, 1],
  'member.role-changed': [3007, 16],
  'member.suspended': [3007, 5],
  'member.revocation-begun': [3007, OTHER],
  'member.revoked': [3007, OTHER],
  'member.reinstated': [3007, OTHER],
  'recovery.opened': [3007, OTHER],
  'recovery.cancelled': [3007, OTHER],
  'recovery.completed': [3007, OTHER],
  'invitation.created': [3007, 1],
  'invitation.accepted': [3007, 4],
  'person.erased': [3007, 3],
  'engagement.contact-assigned': [3008, 6],
  'engagement.contact-removed': [3008, 7],
  'office.added': [3006, 6],
  'office.person-placed': [3006, 3],
  'engagement.finalised': [3004, 11],
  'evidence.downloaded': [6005, 1],
  'evidence.received': [6005, 5],
  'audit-trail.disclosures.opened': [6005, 10],
  'audit-trail.exported': [6003, 2],
  'key.resealed': [6005, 9],
  'key.rewrapped': [6005, 9],
  'ai.prompt.submitted': [6003, 1],
  'ai.response.received': [6003, 2],
  'ai.suggestion.accepted': [6003, 3],
  'ai.suggestion.overridden': [6003, 3],
};

/** Rooms whose entries are about a thing that people keep: class 3004, activity by the last word of the type. */
const ENTITY_ROOMS: ReadonlySet<string> = new Set([
  'access-rules',
  'engagement',
  'evidence',
  'key',
  'key-source',
  'oncall',
  'result',
  'tenant',
]);

/** Last word of a type to an activity of 3004, first match. */
const ENTITY_VERBS: readonly (readonly [RegExp, number])[] = [
  [/(created|recorded|requested|registered|upload-started|proposed|opened)$/, 1],
  [/(destroyed|keys-destroyed|upload-aborted|upload-expired)$/, 4],
  [/(office-changed|moved)$/, 5],
  [/(activated|resumed|reopened|restored)$/, 10],
  [/(closed|retired|withdrawn|returned)$/, 11],
  [
    /(saved|changed|imported|rotated|completed|confirmed|cancelled|acknowledged|checked|prepared|begun|stopped|failed)$/,
    3,
  ],
];

/** Class and activity of a type. One that nobody thought of is API activity, "other", under its own name. */
function placementOf(type: string): Placement {
  const named = BY_TYPE[type];
  if (named !== undefined) return named;
  const room = type.slice(0, type.indexOf('.'));
  if (!ENTITY_ROOMS.has(room) || /refused|denied/.test(type)) return [6003, OTHER];
  return [3004, ENTITY_VERBS.find(([words]) => words.test(type))?.[1] ?? OTHER];
}

/** Addresses are not in a leaf: what is known of the source is the session, or the service. */
function sourceOf({ session, actor }: LeafBody): Attributes {
  return actor[0] === 'service'
    ? { name: actor[1], svc_name: actor[1] }
    : { uid: session ?? actor[1], svc_name: 'browser' };
}

function actorOf({ session, actor, agents = [] }: LeafBody): Attributes {
  if (actor[0] === 'service') return { app_name: actor[1], user: { name: actor[1], type_id: 4 } };
  const user = { uid: actor[1], type_id: 1 };
  // The program that called, when it was handed the person's work.
  const agent = agents.at(-1);
  return {
    user,
    ...(session === undefined ? {} : { session: { uid: session } }),
    ...(agent === undefined ? {} : { app_uid: agent }),
  };
}

function fact(leaf: LeafBody, name: string): string | undefined {
  const value = leaf.public?.[name];
  return value === undefined ? undefined : String(value);
}

/** The attributes that a class demands, filled with what a public-safe leaf knows. */
function classAttributes(leaf: LeafBody, classId: ClassId): Attributes {
  const [kind, id] = leaf.resource;
  const person = leaf.actor[0] === 'person' ? { uid: leaf.actor[1], type_id: 1 } : { name: leaf.actor[1], type_id: 4 };
  const resource = { uid: id, type: kind };
  switch (classId) {
    case 3002:
      return {
        user: person,
        service: { name: 'Auditrax' },
        ...(leaf.session === undefined ? {} : { session: { uid: leaf.session } }),
      };
    case 3003:
      return {
        user: person,
        privileges: [fact(leaf, 'operation') ?? leaf.type],
        ...(leaf.session === undefined ? {} : { session: { uid: leaf.session } }),
      };
    case 3004:
      // A set of rules is a policy; nothing else of ours is in the list of entity types.
      return { entity: { uid: id, type: kind, type_id: kind === 'access-rules' ? 5 : OTHER } };
    case 3006:
      return { group: { uid: fact(leaf, 'office') ?? id, type: kind } };
    case 3007:
      return { user: { uid: id, type: kind, type_id: OTHER } };
    case 3008:
      return { iam_role: { uid: 'contact', name: 'Contact' }, resources: [resource] };
    case 6005:
      return { src_endpoint: sourceOf(leaf), type_id: OTHER, databucket: { uid: id, type: kind, type_id: OTHER } };
    case 6003:
      return {
        api: { operation: fact(leaf, 'operation') ?? leaf.type, request: { uid: leaf.request } },
        src_endpoint: sourceOf(leaf),
        resources: [resource],
      };
  }
}

/** The profile `ai_operation`; texts stay digests. */
function aiAttributes(leaf: LeafBody): Attributes {
  if (!leaf.type.startsWith('ai.')) return {};
  return {
    ai_model: {
      ai_provider: fact(leaf, 'provider') ?? 'unknown',
      name: fact(leaf, 'model') ?? 'unknown',
      version: fact(leaf, 'version') ?? 'unknown',
    },
    message_context: {
      ai_role_id: leaf.type === 'ai.response.received' ? 2 : 1,
      application: { name: 'Auditrax' },
    },
  };
}

/** Shape of the leaf hash in the profile `record_integrity`: it is over `raw_data`, not over this event's own spelling. */
function attestationOf(place: OcsfPlace): Attributes {
  const fingerprint = {
    algorithm_id: OTHER,
    algorithm: 'RFC 6962 leaf hash over raw_data (SHA-256)',
    encoding_id: 1,
    value: Buffer.from(place.leafHash).toString('hex'),
  };
  return { attestation_list: [{ chain_uid: place.origin, uid: String(place.index), fingerprint }] };
}

function metadataOf(leaf: LeafBody, place: OcsfPlace | null): Attributes {
  const profiles = [...(leaf.type.startsWith('ai.') ? ['ai_operation'] : []), ...(place ? ['record_integrity'] : [])];
  return {
    version: OCSF_VERSION,
    product: { name: 'Auditrax', vendor_name: 'Auditrax', feature: { name: 'audit log' } },
    uid: leaf.id,
    event_code: leaf.type,
    correlation_uid: leaf.request,
    log_name: place?.origin ?? 'not sequenced yet',
    ...(place ? { tenant_uid: place.tenantId, sequence: place.index } : {}),
    ...(profiles.length > 0 ? { profiles } : {}),
  };
}

/** What has no attribute of its own in OCSF: always the same names, so that a search over them is stable. */
function unmappedOf(leaf: LeafBody): Attributes {
  const { public: facts, decision, token, stepUp, resource, _sd: withheld, digests } = leaf;
  return {
    resource: [...resource],
    ...(facts === undefined ? {} : { public: { ...facts } }),
    ...(decision === undefined ? {} : { decision: { policies: [...decision.policies], revision: decision.revision } }),
    ...(token === undefined ? {} : { token_hash: token }),
    ...(stepUp === undefined ? {} : { step_up_hash: stepUp }),
    ...(withheld === undefined ? {} : { withheld_digests: [...withheld] }),
    ...(digests === undefined ? {} : { erased_digests: [...digests] }),
  };
}

/**
 * An entry as one OCSF event (`OCSF_VERSION`). Pure: the same leaf and place give the same event. The type stands in
 * `metadata.event_code`, the leaf's own text in `raw_data`, so nothing of it is lost; withheld values appear as digests
 * only. Throws `audit_input_invalid` for bytes that are no leaf.
 */
export function toOcsf(leafBytes: Uint8Array, place: OcsfPlace | null): Attributes {
  const leaf = readLeafBody(leafBytes);
  const [classId, activity] = placementOf(leaf.type);
  const category = Math.floor(classId / 1000);
  const allowed = leaf.outcome === 'allowed';
  return {
    category_uid: category,
    category_name: CATEGORIES[category]!,
    class_uid: classId,
    class_name: CLASSES[classId],
    activity_id: activity,
    // OCSF asks for the source's own word where the activity is "other".
    ...(activity === OTHER ? { activity_name: leaf.type } : {}),
    type_uid: classId * 100 + activity,
    time: leaf.time,
    severity_id: allowed ? 1 : 2,
    status_id: allowed ? 1 : 2,
    status_code: leaf.outcome,
    actor: actorOf(leaf),
    ...classAttributes(leaf, classId),
    ...aiAttributes(leaf),
    metadata: metadataOf(leaf, place),
    ...(place === null ? {} : attestationOf(place)),
    raw_data: new TextDecoder().decode(leafBytes),
    unmapped: unmappedOf(leaf),
  };
}
