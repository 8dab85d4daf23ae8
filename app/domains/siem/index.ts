/** The door of the room. */
export { createAddressGuard } from './address-guard.ts';
export { materialRoutes as siemMaterialContract, tryRoutes as siemTryContract } from './contract.ts';
export { problems as siemProblems } from './errors.ts';
export { siemRooms, siemTryRoutes } from './routes.ts';
export { createStreamer } from './streamer.ts';
