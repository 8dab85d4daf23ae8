export { problems as auditProblems } from './errors.ts';
