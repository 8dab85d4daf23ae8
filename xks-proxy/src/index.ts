export { loadConfig, type ProxyConfig, type Store, type StoreKey } from './config.ts';
export { newCredential } from './credential.ts';
export type { HsmToken } from './hsm.ts';
export { startProxy, type LogEntry, type ProxyOptions, type RunningProxy } from './proxy.ts';
