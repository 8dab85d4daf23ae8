import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';
import { MOVE_STATES } from './move-states.ts';

/** Moves of one reply; an installation moves a few tenants a year. */
export const MOVES_SHOWN_MAX = 200;
/** A name for a sign and a screen, as the table allows it. */
const DISPLAY_NAME_CHARACTERS_MAX = 200;
const LABEL_CHARACTERS_MAX = 100;

export const PLACE_KINDS = ['shared', 'schema', 'database'] as const;
export type PlaceKind = (typeof PLACE_KINDS)[number];
const MOVE_STAGES = ['copying', 'frozen', 'proving', 'switched', 'cleared'] as const;

const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const region = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
const moveId = z.string().regex(idPattern('mov'));
const count = z.number().int().min(0);
const tenant = z.strictObject({ slug: z.string(), name: z.string() });

/** Tables of their own, or not, and in which region. */
export const placeShape = z.strictObject({ kind: z.enum(PLACE_KINDS), region: z.string() });

const move = z.strictObject({
  id: z.string(),
  tenant,
  state: z.enum(MOVE_STATES),
  from: placeShape,
  to: placeShape,
  /** Tagged id of an operator (`mem_…`, see the list of people). */
  requestedBy: z.string(),
  requestedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
  /** Null until the first row is copied. */
  progress: z
    .strictObject({ stage: z.enum(MOVE_STAGES), rowsDone: count, rowsTotal: count, updatedAt: z.iso.datetime() })
    .nullable(),
  /** How long the organisation could read but not write, in milliseconds. */
  frozenMs: count.nullable(),
  /** Rows and SHA-256 of each table, the same on both sides before the place was switched. */
  proof: z.array(z.strictObject({ table: z.string(), rows: count, sha256: z.string() })).nullable(),
  /** The same of evidence files, when they changed their region: how many, their length as stored, and SHA-256. */
  files: z.strictObject({ count, bytes: count, sha256: z.string() }).nullable(),
  failure: z.string().nullable(),
  mayCancel: z.boolean(),
});
export type ShownMove = z.output<typeof move>;

const operatorOnly = { scope: 'tenants' } as const;
const privileged = { kind: 'session', class: 'privileged', stepUp: true, operatorOnly } as const;
const reading = { kind: 'session', class: 'read', operatorOnly } as const;

/** Creating tenants and moving them between places, for operators. */
export const placementRoutes = defineRoutes({
  places: {
    operation: 'tenants.places',
    service: 'issuer',
    method: 'GET',
    path: '/api/tenants/places',
    access: reading,
    ids: {},
    replies: {
      200: z.strictObject({
        regions: z.array(
          z.strictObject({
            name: z.string(),
            /** Where shared tables, the operator and the pages are. */
            isHome: z.boolean(),
            kinds: z.array(z.enum(PLACE_KINDS)),
          }),
        ),
      }),
    },
  },
  create: {
    operation: 'tenants.create',
    service: 'issuer',
    method: 'POST',
    path: '/api/tenants',
    access: privileged,
    ids: {},
    body: z.strictObject({
      slug,
      name: z.string().trim().min(1).max(DISPLAY_NAME_CHARACTERS_MAX),
      place: z.strictObject({ kind: z.enum(PLACE_KINDS), region }),
      tier: z.enum(['standard', 'enterprise']),
      /** What the first lead auditor is called until they say otherwise. */
      leadLabel: z.string().trim().min(1).max(LABEL_CHARACTERS_MAX),
    }),
    replies: {
      201: z.strictObject({
        tenant,
        place: placeShape,
        /** With it the first lead makes a passkey; shown this once. The secret is in the fragment. */
        enrolmentPath: z.string(),
        expiresInSeconds: z.number().int().positive(),
      }),
    },
  },
  moves: {
    operation: 'tenants.moves',
    service: 'issuer',
    method: 'GET',
    path: '/api/tenants/moves',
    access: reading,
    ids: {},
    replies: { 200: z.strictObject({ moves: z.array(move) }) },
  },
  move: {
    operation: 'tenants.move',
    service: 'issuer',
    method: 'POST',
    path: '/api/tenants/moves',
    access: privileged,
    ids: {},
    body: z.strictObject({ slug, place: z.strictObject({ kind: z.enum(PLACE_KINDS), region }) }),
    replies: { 201: z.strictObject({ move }) },
  },
  cancelMove: {
    operation: 'tenants.cancel-move',
    service: 'issuer',
    method: 'POST',
    path: '/api/tenants/moves/:moveId/cancel',
    // No passkey: stopping must be easier than going on.
    access: { kind: 'session', class: 'write', operatorOnly },
    ids: { 'params.moveId': 'mov' },
    params: z.strictObject({ moveId }),
    replies: { 200: z.strictObject({ move }) },
  },
});
