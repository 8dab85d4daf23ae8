export { startRehearsal, type Rehearsal } from './rehearsal.ts';
