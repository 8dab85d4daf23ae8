export { openCarrier } from './carrier.ts';
export type { FilesProof, ObjectCarrier } from './carrier.ts';
export { objectError, problems } from './errors.ts';
export type { ObjectErrorCode } from './errors.ts';
export { OBJECT_BYTES_MAX, PART_BYTES } from './layout.ts';
export { decodeManifest, encodeManifest } from './manifest.ts';
export type { Manifest } from './manifest.ts';
export { FREE_BYTES_FLOOR, NODE_OPTIONS_FOR_TRANSFERS, openObjectStore, openRegionalStore } from './store.ts';
export type { ObjectKeys, ObjectStore, ObjectStoreOptions, StoredObject } from './store.ts';
