/** The door of the room: other rooms and the composition roots import from here only. */
export { refuseCardNumber } from './card-number.ts';
export { problems as evidenceProblems } from './errors.ts';
export { evidenceRoutes } from './routes.ts';
export { evidenceService } from './service.ts';
