/**
 * The one error class of the house. `Code` is a closed union owned by the library or room that throws; an outward
 * status is chosen in one table (`app/platform/http/problems.ts`), never here.
 *
 * `message` may be shown to the operator. `publicDetail` is the only text that may reach a caller.
 */
export class AppError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly publicDetail: string | undefined;
  /** JSON path of the field at fault, for bad input. */
  readonly field: string | undefined;
  /** What would have to be held for it to be done: a word of a closed list, for whoever can offer a way to get it. */
  readonly needs: string | undefined;

  constructor(
    code: Code,
    message: string,
    options: { publicDetail?: string; field?: string; needs?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.publicDetail = options.publicDetail;
    this.field = options.field;
    this.needs = options.needs;
  }
}

/** True when `error` is an AppError carrying one of `codes` (any code when none is named). */
export function isAppError<Code extends string>(error: unknown, ...codes: Code[]): error is AppError<Code> {
  return error instanceof AppError && (codes.length === 0 || (codes as string[]).includes(error.code));
}
