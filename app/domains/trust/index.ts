/** The door of the trust room: the page's model, its renderers, and the frame that other rooms' public pages wear. */
export { framed } from './frame.ts';
export { html } from './html.ts';
export { buildPage, countsLine, pageRows } from './model.ts';
export type { Conditions, PageModel } from './model.ts';
export { parseOrganisation } from './organisation.ts';
export type { Organisation } from './organisation.ts';
export { jsonFile, MANIFEST_PATH, renderRevision, signPublication } from './publish.ts';
export type { PublishedFile, RoomPages } from './publish.ts';
