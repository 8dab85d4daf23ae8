/** The door of the trust room: the page's model, its renderers, and the frame that other rooms' public pages wear. */
export { framed, instant, utc } from './frame.ts';
export { html } from './html.ts';
export type { Html } from './html.ts';
export { buildPage, countsLine, pageRows, VALIDITY_SECONDS } from './model.ts';
export type { BuildInput, ClaimRow, Conditions, PageModel } from './model.ts';
export { parseOrganisation } from './organisation.ts';
export type { Organisation } from './organisation.ts';
export {
  jsonFile,
  MANIFEST_PATH,
  PAGE_KEY_PATH,
  renderRevision,
  SIGNATURE_PATH,
  signPublication,
  verifyPublished,
} from './publish.ts';
export type { PublishedFile, Revision, RoomPages, SignedPublication } from './publish.ts';
