import {
  AddressError,
  createAddressGuard as createGuard,
  type GuardOptions,
} from '../../platform/outward/address-guard.ts';
import type { AddressGuard } from '../../platform/outward/address-guard.ts';
import { DeliveryError } from './event.ts';

export { parseNetwork, type AddressGuard } from '../../platform/outward/address-guard.ts';

/** The floor's guard, whose refusals are the first step of a delivery: throws `DeliveryError` of step `address`. */
export function createAddressGuard(options: GuardOptions): AddressGuard {
  const guard = createGuard(options);
  return async (host, port) => {
    try {
      return await guard(host, port);
    } catch (error) {
      throw error instanceof AddressError ? new DeliveryError('address', error.code, error) : error;
    }
  };
}
