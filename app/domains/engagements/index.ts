/** The door of the room: other rooms and the composition roots import from here only. */
export { problems as engagementProblems } from './errors.ts';
export {
  auditOf,
  enterEngagement,
  notFound,
  recordCardOverrides,
  requireEvent,
  rowDenied,
  withRecordedDenials,
} from './gate.ts';
export type { Hold } from './gate.ts';
export type { Asker, EngagementDeps } from './ports.ts';
export { engagementRoutes } from './routes.ts';
export { createListSampler } from './sampler.ts';
export { engagementsLeft, type EngagementsLeft } from './seeing.ts';
