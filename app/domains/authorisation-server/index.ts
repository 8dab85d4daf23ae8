export { canaryProgram } from './canary.ts';
export { problems as authorisationServerProblems } from './errors.ts';
export { apiTokenMintRoutes } from './call-tokens.ts';
export { listClients } from './clients.ts';
export { endGrantsOfTenant, endProgramGrantByReview, openProgramGrants, programGrants } from './grants.ts';
export { authorisationServerRoutes } from './routes.ts';
export { programSubjects } from './subjects.ts';
export { isProgramLetIn, programsLetIn } from './standing.ts';
export { sweepApiArtifacts } from './sweep.ts';
