// Test composition root: loads a process with one exported function replaced by nothing, so that the tests can see which
// claims notice. Product code has no switch for this; the replacement lives in the arguments of a test's own process:
//
//   node --import 'file:///…/replace-export.mjs?file=packages/tenancy/src/guard.ts&export=checkStatement&nothing=…' root.ts
import { registerHooks } from 'node:module';

const parameters = new URL(import.meta.url).searchParams;
const [file, name, nothing] = ['file', 'export', 'nothing'].map((key) => parameters.get(key));
const root = new URL('../../', import.meta.url).href;
const target = `${root}${file}`;
let replaced = false;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (url !== target) return loaded;
    const source = Buffer.from(loaded.source).toString();
    const declared = new RegExp(`export (async )?(function\\*?|const|let|class) ${name}\\b`);
    if (!declared.test(source)) throw new Error(`${file} declares no export ${name}`);
    replaced = true;
    // A function declaration is a mutable binding inside its module, and importers see the new value; a const is not.
    const mutable = source.replace(new RegExp(`export (const|class) ${name}\\b`), (_, kind) =>
      kind === 'const' ? `export let ${name}` : `export let ${name} = class ${name}`,
    );
    return { ...loaded, source: `${mutable}\n;${name} = (${nothing});\n` };
  },
});

// A mutant that was never loaded proves nothing: say so once everything is imported.
setTimeout(() => {
  if (!replaced) {
    process.stderr.write(`mutant: ${file} was never loaded here\n`);
    process.exit(70);
  }
}, 15_000).unref();
