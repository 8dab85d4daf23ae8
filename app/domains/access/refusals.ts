import { AppError } from '@auditrax/base';
import type { AccessCode } from './errors.ts';

/** An error of this room. */
export function refuse(code: AccessCode, message: string): AppError<AccessCode> {
  return new AppError<AccessCode>(code, message);
}
