// Who may import whom; the picture is in ARCHITECTURE.md. `npm run check` also asserts a minimum module count, because
// a cruise that sees nothing passes everything.
const TESTS = '\\.test\\.ts$|/testing/|testing\\.ts$';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    { name: 'libraries-know-no-product', severity: 'error', from: { path: '^packages/' }, to: { path: '^app/' } },
    {
      name: 'library-stack',
      comment: 'Libraries see base only; they are composed in the product.',
      severity: 'error',
      from: { path: '^packages/([^/]+)/', pathNot: TESTS },
      to: { path: '^packages/', pathNot: '^packages/($1|base)/' },
    },
    {
      name: 'programs-stand-alone',
      comment:
        'The proxy and the witness run at a customer: composed of libraries, they know no product; the compile step is shared.',
      severity: 'error',
      from: { path: '^(xks-proxy|witness)/', pathNot: TESTS },
      to: { path: '^(app|e2e|tools|bench)/', pathNot: '^app/bin/native-build\\.ts$' },
    },
    {
      name: 'base-is-a-leaf',
      severity: 'error',
      from: { path: '^packages/base/' },
      to: { path: '^packages/(?!base/)' },
    },
    {
      name: 'floor-below-rooms',
      severity: 'error',
      from: { path: '^app/platform/', pathNot: TESTS },
      to: { path: '^app/(domains|bin|shell|ui|claims)/', pathNot: '/(plaintext|sealed-fields)\\.ts$' },
    },
    {
      name: 'rooms-by-the-door',
      comment: 'A room sees another only through its index.ts or its contract.',
      severity: 'error',
      from: { path: '^app/domains/([^/]+)/', pathNot: TESTS },
      to: { path: '^app/domains/', pathNot: '^app/domains/($1/|[^/]+/(index|contract)\\.ts$)' },
    },
    {
      name: 'pg-in-tenancy-only',
      comment:
        'One door to PostgreSQL; the exceptions are named: migrations and roles, the bare half of a bench, tests.',
      severity: 'error',
      from: { pathNot: `^packages/tenancy/|^app/platform/db/|^bench/|^e2e/|${TESTS}` },
      to: { path: '^node_modules/pg/' },
    },
    {
      name: 'contract-is-pure',
      severity: 'error',
      from: { path: 'contract\\.ts$' },
      to: {
        pathNot:
          'contract\\.ts$|^node_modules/zod/|^packages/base/|^packages/tenancy/src/id-pattern|(/|-)(limits|state|states)\\.ts$',
      },
    },
    {
      name: 'browser-never-reaches-server',
      severity: 'error',
      from: { path: '^app/(ui|shell)/|\\.page\\.tsx$', pathNot: TESTS },
      to: {
        path: '^app/(platform|bin|claims)/|^app/domains/[^/]+/(service|queries|routes|index)\\.ts$|^packages/(seal|tenancy|policy|workload)/',
      },
    },
    {
      name: 'browser-never-reaches-node',
      severity: 'error',
      from: { path: '^app/(ui|shell)/|\\.page\\.tsx$', pathNot: TESTS },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'bin-is-the-root',
      severity: 'error',
      from: { path: '^(packages|app/(platform|domains|claims|ui|shell))/', pathNot: TESTS },
      to: { path: '^app/bin/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
};
