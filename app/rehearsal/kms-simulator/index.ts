export type { SimulatedRole, SimulatedUser } from './callers.ts';
export { startKmsSimulator, type KmsSimulator } from './server.ts';
