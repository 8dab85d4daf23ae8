import type { ListedKey } from '../../shell/wire.ts';

/** What a purpose of a data key is called, and what it seals. */
export const purposeWords: Readonly<Record<ListedKey['purpose'], readonly [name: string, means: string]>> = {
  fields: ['Fields', 'text in the database'],
  objects: ['Files', 'evidence and other objects'],
};
