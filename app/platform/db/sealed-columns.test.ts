import { describe, expect, it } from 'vitest';
import { lintSealedColumns } from './sealed-columns.ts';
import { mergeSealedFields } from './sealed-fields.ts';

const lint = (change: Partial<Parameters<typeof lintSealedColumns>[0]>) =>
  lintSealedColumns({ columns: [], sealed: {}, plaintext: [], ...change });

describe('a content column is sealed or in the clear for a reason', () => {
  const columns = [{ column: 'app.note.body', type: 'text' }];

  it('names a column that is in neither list', () => {
    expect(lint({ columns })).toEqual(['app.note.body: neither sealed nor listed as plaintext with a reason']);
  });

  it('wants bytea for sealed columns, one list only, and a reason', () => {
    const sealed = { 'app.note.body': 1001 };
    expect(lint({ columns, sealed })[0]).toContain('not bytea');
    const bytes = [{ column: 'app.note.body', type: 'bytea' }];
    expect(lint({ columns: bytes, sealed })).toEqual([]);
    expect(
      lint({ columns: bytes, sealed, plaintext: [{ column: 'app.note.body', reason: 'enumeration' }] }),
    ).toHaveLength(1);
    expect(lint({ columns, plaintext: [{ column: 'app.note.body', reason: ' ' }] })).toHaveLength(1);
    expect(lint({ columns, plaintext: [{ column: 'app.note.body', reason: 'enumeration' }] })).toEqual([]);
  });

  it('names entries whose column is gone', () => {
    expect(
      lint({ sealed: { 'app.gone.x': 1001 }, plaintext: [{ column: 'identity.gone.y', reason: 'enumeration' }] }),
    ).toHaveLength(2);
  });
});

describe('a field number belongs to one field', () => {
  it.each([
    [[{ 'app.a.b': 1001 }, { 'app.c.d': 1001 }], /share field number 1001/],
    [[{ 'app.a.b': 1001 }, { 'app.a.b': 1002 }], /registered twice/],
    [[{ 'app.a.b': 1 }], /outside/],
    [[{ 'app.a': 1001 }], /not schema.table.column/],
  ] as const)('refuses %j', (registries, message) => {
    expect(() => mergeSealedFields(registries)).toThrow(message);
  });

  it('merges what does not collide', () => {
    expect(mergeSealedFields([{ 'app.a.b': 1001 }, { 'app.a.c': 1002 }])).toEqual({ 'app.a.b': 1001, 'app.a.c': 1002 });
  });
});
