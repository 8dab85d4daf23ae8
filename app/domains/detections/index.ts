export { RULES, type Alert, type LogEvent } from './rules.ts';
export { createTail } from './tail.ts';
