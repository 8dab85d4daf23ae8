/** One fact about whether a process may take traffic. `detail` is for operators and never names a person or a tenant. */
export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}
