import { isAppError } from '@auditrax/base';
import { changesBetween, type Change } from './changes.ts';
import type { ScimDialect } from './dialects.ts';
import { refusal, SCIM_CHECKS, type ScimError } from './errors.ts';
import { readMessage, type RawObject } from './json.ts';
import { patched } from './patch.ts';
import { checkRequired, readingOf, readResource } from './read.ts';
import { branchOf, EMPTY, type ScimResource } from './resource.ts';
import type { ResourceKind } from './schema.ts';
import { bytesSpeakOfLeaving, speaksOfLeaving, type Standing } from './standing.ts';
import { entityTag, namesTag } from './version.ts';

/**
 * What became of a message. In both cases `standing` is to be carried out: a message can be refused and say all the same
 * that somebody has left. Nothing that is refused ever re-activates, by type.
 */
export type Verdict =
  | {
      readonly kind: 'accepted';
      /** Frozen; names from the schema table only. */
      readonly resource: ScimResource;
      /** Empty when the message says what is already so. */
      readonly changes: readonly Change[];
      /** Names of attributes that were left out because they are read-only, unknown or never kept. */
      readonly ignored: readonly string[];
      readonly standing: Standing;
    }
  | { readonly kind: 'refused'; readonly error: ScimError; readonly standing: Exclude<Standing, 'reactivate'> };

export interface WriteOrder {
  readonly kind: ResourceKind;
  readonly dialect: ScimDialect;
  /** The body as it arrived, not parsed by anybody. */
  readonly body: Uint8Array;
}

export interface ChangeOrder extends WriteOrder {
  /** The resource as it is kept, with its `id`. */
  readonly current: ScimResource;
  /** The header If-Match, if there is one. */
  readonly ifMatch?: string | undefined;
}

function isScimError(error: unknown): error is ScimError {
  return isAppError(error) && Object.hasOwn(SCIM_CHECKS, error.code);
}

/** P17 P18: runs `make`; whatever it throws, what the message says about leaving is not lost. */
function judge(
  order: WriteOrder & { readonly current?: ScimResource },
  make: (message: RawObject) => { resource: ScimResource; ignored: readonly string[] },
): Verdict {
  let message: RawObject | undefined;
  try {
    message = readMessage(order.body);
    const { resource, ignored } = make(message);
    const before = order.current ?? EMPTY;
    const changes = changesBetween(before, resource);
    return { kind: 'accepted', resource, changes, ignored, standing: standingOf(before, resource) };
  } catch (error) {
    if (!isScimError(error)) throw error;
    const isLeaving =
      order.kind === 'User' && (message === undefined ? bytesSpeakOfLeaving(order.body) : speaksOfLeaving(message));
    return { kind: 'refused', error, standing: isLeaving ? 'suspend' : 'keep' };
  }
}

/** Suspension is said again each time, so that a caller who missed it once has it again. */
function standingOf(before: ScimResource, after: ScimResource): Standing {
  if (after['active'] === false) return 'suspend';
  return after['active'] === true && before['active'] !== true ? 'reactivate' : 'keep';
}

function checkVersion({ ifMatch, current }: ChangeOrder): void {
  if (ifMatch !== undefined && !namesTag(ifMatch, entityTag(current))) throw refusal('scim_version');
}

/**
 * A new resource (POST), still without an id. A person of whom nothing is said is active, and then `standing` is
 * `reactivate`: whether this may bring back somebody who was there before is the caller's question.
 */
export function createResource({ kind, dialect, body }: WriteOrder): Verdict {
  return judge({ kind, dialect, body }, (message) => {
    const reading = readingOf({ kind, dialect }, 'left-out');
    const { attributes } = readResource(kind, message, reading);
    const isSilent = kind === 'User' && attributes['active'] === undefined;
    const resource = isSilent ? branchOf([...Object.entries(attributes), ['active', true]]) : attributes;
    checkRequired(kind, resource);
    return { resource, ignored: [...reading.ignored] };
  });
}

/** Attributes whose absence in a PUT says nothing: nobody comes back, and no group empties, because a name is missing. */
const KEPT_BY_PUT = ['active', 'members'] as const;
/** What only this server says. */
const OWN = ['id', 'meta', 'groups'] as const;

/** A resource that replaces the present one (PUT). */
export function replaceResource(order: ChangeOrder): Verdict {
  return judge(order, (message) => {
    checkVersion(order);
    const reading = readingOf(order, 'left-out');
    const { attributes, id } = readResource(order.kind, message, reading);
    const { current } = order;
    if (id !== undefined && id !== current['id']) throw refusal('scim_mutability', { field: 'id' });
    const said = new Set([...message.keys()].map((name) => name.toLowerCase()));
    const kept = KEPT_BY_PUT.filter((name) => !said.has(name)).map((name) => [name, current[name]] as const);
    const own = OWN.map((name) => [name, current[name]] as const);
    const resource = branchOf([...own, ...Object.entries(attributes), ...kept]);
    checkRequired(order.kind, resource);
    return { resource, ignored: [...reading.ignored] };
  });
}

/** A resource changed by operations (PATCH, RFC 7644 3.5.2): all of them or none. */
export function patchResource(order: ChangeOrder): Verdict {
  return judge(order, (message) => {
    checkVersion(order);
    return patched(message, order.current, order);
  });
}
