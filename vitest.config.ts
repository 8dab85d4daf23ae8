import { defineConfig } from 'vitest/config';

// One config for every test; the suffix tells what a test needs (see CONTRIBUTING.md).
export default defineConfig({
  test: {
    include: ['packages/**/*.test.ts', 'app/**/*.test.ts', 'tools/**/*.test.ts', 'e2e/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
