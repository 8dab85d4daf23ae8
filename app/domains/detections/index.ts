export { RULES, type Alert, type LogEvent } from './rules.ts';
export { createTail, type Tail } from './tail.ts';
