export { RULES, type Alert, type LogEvent } from './rules.ts';
export { createTail, type TailDeps } from './tail.ts';
