import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const require = createRequire(import.meta.url);
const styles = join(import.meta.dirname, 'app/ui/styles');

// The public pages carry no script and are rendered by another process, so their stylesheet and fonts need names that
// do not change with a build: /app/public.css and /app/fonts/*.
const publicFonts = [
  {
    family: 'Inter Variable',
    package: '@fontsource-variable/inter',
    file: 'inter-latin-opsz-normal.woff2',
    weights: '100 900',
  },
  {
    family: 'JetBrains Mono Variable',
    package: '@fontsource-variable/jetbrains-mono',
    file: 'jetbrains-mono-latin-wght-normal.woff2',
    weights: '100 800',
  },
] as const;

/** Emits `public.css` (fonts, tokens, pieces, public layout in one plain file) and the two font files it names. */
function publicStylesheet(): Plugin {
  return {
    name: 'auditrax-public-stylesheet',
    apply: 'build',
    generateBundle() {
      const faces = publicFonts.map((font) => {
        const folder = dirname(require.resolve(`${font.package}/package.json`));
        this.emitFile({
          type: 'asset',
          fileName: `fonts/${font.file}`,
          source: readFileSync(join(folder, 'files', font.file)),
        });
        return `@font-face { font-family: '${font.family}'; font-style: normal; font-display: swap; font-weight: ${font.weights}; src: url('./fonts/${font.file}') format('woff2'); }`;
      });
      const sheets = ['tokens.css', 'pieces.css', 'public.css'].map((name) => readFileSync(join(styles, name), 'utf8'));
      this.emitFile({ type: 'asset', fileName: 'public.css', source: [...faces, ...sheets].join('\n') });
    },
  };
}

// Everything is a file of our own origin, so that the page lives under `default-src 'none'` without an exception:
// nothing inlined as data:, no preload shim, no eval.
export default defineConfig({
  root: 'app/shell',
  base: '/app/',
  plugins: [react(), publicStylesheet()],
  build: {
    outDir: '../../dist/browser',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    sourcemap: false,
  },
});
