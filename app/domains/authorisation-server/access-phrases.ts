import type { ApiAccess } from './access-words.ts';

/** What a program may do, as people read it. */
export const accessPhrases: Readonly<Record<ApiAccess, string>> = {
  read: 'Read what you may read',
  write: 'Read and change what you may read and change',
};
