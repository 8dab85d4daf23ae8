export type { SimulatedRole, SimulatedUser } from './callers.ts';
export type { Fault } from './faults.ts';
export type { PolicyDocument, Statement } from './policy.ts';
export { startKmsSimulator, type KmsEvent, type KmsSimulator, type KmsSimulatorInput } from './server.ts';
