export { canaryDirectory } from './canary.ts';
export { provisioningConsole, provisioningSubjects } from './console-routes.ts';
export { provisioningRoutes } from './door.ts';
export { problems as provisioningProblems } from './errors.ts';
export { endDirectoryTokenByReview, isDirectoryLetIn, liveDirectoryTokens } from './tokens.ts';
export { directoryWord } from './word.ts';
