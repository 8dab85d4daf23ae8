import type { OncallCode } from './service.ts';

/** HTTP status of each refusal of this room. */
export const oncallProblems: Readonly<Record<OncallCode, { readonly status: number; readonly title: string }>> = {
  page_already_acknowledged: { status: 409, title: 'This page has been acknowledged already' },
};
