export { actorOf, detect, isCanary, refusalOf, RULES, timesOf, type Alert, type LogEvent } from './rules.ts';
export { createTail, type TailDeps } from './tail.ts';
