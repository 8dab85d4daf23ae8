import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';
import { keyPurpose } from './contract.ts';

/** How far the re-encryption of one column has come. */
const columnProgress = z.object({
  /** `schema.table.column` */
  column: z.string(),
  purpose: keyPurpose,
  /** Values under the key that seals now, or a younger one. */
  current: z.number().int().min(0),
  /** Values that still name an older key. */
  left: z.number().int().min(0),
  /** Values moved to the key that seals now. */
  done: z.number().int().min(0),
  /** Values that the last walk met and that do not open: never touched, and their key is kept. */
  unreadable: z.number().int().min(0),
  updatedAt: z.iso.datetime().nullable(),
});
export type ColumnProgress = z.output<typeof columnProgress>;

const rotatingPurpose = z.object({
  purpose: keyPurpose,
  version: z.number().int(),
  createdAt: z.iso.datetime(),
  /** When the job replaces it, some days before it may seal nothing more. */
  rotatesAt: z.iso.datetime(),
  /** When the writer would replace it if the job had not. */
  sealsUntil: z.iso.datetime(),
});

const rotation = z.object({
  purposes: z.array(rotatingPurpose),
  columns: z.array(columnProgress),
  left: z.number().int().min(0),
  /** Days that a retired key is kept for backups before it is destroyed. */
  backupRetentionDays: z.number().int(),
});
export type RotationView = z.output<typeof rotation>;

/** Rotation as people see and order it. */
export const rotationContract = defineRoutes({
  rotation: {
    operation: 'keys.rotation',
    service: 'workspace',
    method: 'GET',
    path: '/api/keys/rotation',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: rotation },
  },
  /** Makes new keys now and begins to encrypt anew; answers before that has ended. */
  rotate: {
    operation: 'keys.rotate',
    service: 'workspace',
    method: 'POST',
    path: '/api/keys/rotate',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: {},
    body: z.strictObject({}),
    bodyBytesMax: 64,
    replies: { 202: z.object({ versions: z.array(z.object({ purpose: keyPurpose, version: z.number().int() })) }) },
  },
});
