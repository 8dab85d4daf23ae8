import { createHash } from 'node:crypto';
import type { Random } from '@auditrax/base';
import type { Grant, PolicyDocument } from './policy.ts';
import { refusal } from './refusal.ts';

export const DAY_MS = 86_400_000;
/** On-demand rotations of one key that AWS allows. */
const ON_DEMAND_MAX = 25;
const ROTATION_DAYS = 365;

export type Origin = 'AWS_KMS' | 'EXTERNAL';
export type KeyState = 'Enabled' | 'Disabled' | 'PendingDeletion' | 'PendingImport' | 'Unavailable';

/** One backing key. Imported material can be missing for a while. */
export interface Material {
  readonly id: string;
  bytes: Buffer | undefined;
  expiresAtMs: number | undefined;
  readonly sinceMs: number;
  readonly by: 'CREATION' | 'AUTOMATIC' | 'ON_DEMAND' | 'IMPORT';
}

/** A KMS key with all backing keys that it ever had; the newest encrypts, each decrypts what it encrypted. */
export class SimulatedKey {
  readonly id: string;
  readonly arn: string;
  readonly account: string;
  readonly origin: Origin;
  readonly description: string;
  readonly createdMs: number;
  policy: PolicyDocument;
  readonly grants: Grant[] = [];
  isEnabled = true;
  /** Set from outside: the store behind the key does not answer. */
  isUnavailable = false;
  deletionAtMs: number | undefined;
  materials: Material[] = [];
  /** Imported to become current by the next rotation. */
  pending: Material | undefined;
  rotationDays: number | undefined;
  nextRotationMs: number | undefined;
  #onDemand = 0;
  readonly #random: Random;

  constructor(input: {
    readonly id: string;
    readonly region: string;
    readonly account: string;
    readonly origin: Origin;
    readonly description: string;
    readonly policy: PolicyDocument;
    readonly nowMs: number;
    readonly random: Random;
  }) {
    this.id = input.id;
    this.account = input.account;
    this.arn = `arn:aws:kms:${input.region}:${input.account}:key/${input.id}`;
    this.origin = input.origin;
    this.description = input.description;
    this.policy = input.policy;
    this.createdMs = input.nowMs;
    this.#random = input.random;
    if (input.origin === 'AWS_KMS') this.#addOwn(input.nowMs, 'CREATION');
  }

  /** Lets time do what it does: imported material expires, rotation comes due. */
  settle(nowMs: number): void {
    for (const material of this.materials) {
      if (material.expiresAtMs !== undefined && material.expiresAtMs <= nowMs) material.bytes = undefined;
    }
    while (this.nextRotationMs !== undefined && this.nextRotationMs <= nowMs && this.deletionAtMs === undefined) {
      this.#addOwn(this.nextRotationMs, 'AUTOMATIC');
      this.nextRotationMs += this.rotationDays! * DAY_MS;
    }
  }

  isGone(nowMs: number): boolean {
    return this.deletionAtMs !== undefined && this.deletionAtMs <= nowMs;
  }

  get state(): KeyState {
    if (this.deletionAtMs !== undefined) return 'PendingDeletion';
    if (this.isUnavailable) return 'Unavailable';
    if (this.materials.length === 0 || this.materials.some(({ bytes }) => bytes === undefined)) return 'PendingImport';
    return this.isEnabled ? 'Enabled' : 'Disabled';
  }

  /** For everything that needs the key itself. */
  requireUsable(): void {
    const { state } = this;
    if (state === 'Disabled') throw refusal('DisabledException', `${this.arn} is disabled.`);
    if (state !== 'Enabled') this.#refuseState();
  }

  /** For everything that AWS does with a disabled key as well, but not in the other states. */
  requireNotPendingDeletion(): void {
    if (this.state === 'PendingDeletion') this.#refuseState();
  }

  #refuseState(): never {
    const spoken = this.state.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
    throw refusal('KMSInvalidStateException', `${this.arn} is ${spoken}.`);
  }

  get current(): Material & { bytes: Buffer } {
    return this.materials.at(-1) as Material & { bytes: Buffer };
  }

  material(id: string): (Material & { bytes: Buffer }) | undefined {
    const found = this.materials.find((one) => one.id === id);
    return found?.bytes === undefined ? undefined : (found as Material & { bytes: Buffer });
  }

  setRotation(days: number | undefined, nowMs: number): void {
    if (this.origin !== 'AWS_KMS') {
      throw refusal('UnsupportedOperationException', `${this.arn} has imported material: no automatic rotation.`);
    }
    this.requireUsable();
    this.rotationDays = days;
    this.nextRotationMs = days === undefined ? undefined : nowMs + days * DAY_MS;
  }

  rotateOnDemand(nowMs: number): void {
    this.requireUsable();
    if (this.#onDemand >= ON_DEMAND_MAX) throw refusal('UnsupportedOperationException', 'No more on-demand rotations.');
    if (this.origin === 'EXTERNAL') {
      if (!this.pending) throw refusal('KMSInvalidStateException', `${this.arn} has no material pending rotation.`);
      this.materials.push(this.pending);
      this.pending = undefined;
    } else {
      this.#addOwn(nowMs, 'ON_DEMAND');
    }
    this.#onDemand += 1;
  }

  /** Imported bytes: the first ever, the same again, or a new one that waits for rotation. */
  importMaterial(
    bytes: Buffer,
    how: { readonly isNew: boolean; readonly expiresAtMs: number | undefined; nowMs: number },
  ): Material {
    const id = this.#materialId(bytes);
    const known = this.materials.find((one) => one.id === id);
    if (known) {
      known.bytes = bytes;
      known.expiresAtMs = how.expiresAtMs;
      return known;
    }
    const material: Material = { id, bytes, expiresAtMs: how.expiresAtMs, sinceMs: how.nowMs, by: 'IMPORT' };
    if (this.materials.length === 0) this.materials.push(material);
    else if (how.isNew) this.pending = material;
    else throw refusal('IncorrectKeyMaterialException', 'The key material is not the one that was imported before.');
    return material;
  }

  forgetMaterial(id: string | undefined): Material {
    const material = this.materials.find((one) => one.id === (id ?? this.materials.at(-1)?.id));
    if (!material) throw refusal('NotFoundException', 'There is no such key material.');
    material.bytes = undefined;
    return material;
  }

  #addOwn(sinceMs: number, by: Material['by']): void {
    const bytes = Buffer.from(this.#random.bytes(32));
    this.materials.push({ id: this.#materialId(bytes), bytes, expiresAtMs: undefined, sinceMs, by });
  }

  #materialId(bytes: Uint8Array): string {
    return createHash('sha256').update(`${this.arn}\0`).update(bytes).digest('hex');
  }
}

/** 365 days unless told; AWS takes 90 to 2560. */
export function rotationDays(given: number | undefined): number {
  const days = given ?? ROTATION_DAYS;
  if (days < 90 || days > 2560) throw refusal('ValidationException', 'RotationPeriodInDays must be 90 to 2560.');
  return days;
}
