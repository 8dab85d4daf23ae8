// Preloaded into a process: says on stderr which file of the checkout is loaded or read after root was given up.
import fs from 'node:fs';
import { isBuiltin, registerHooks } from 'node:module';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const say = (what) => {
  if (process.getuid() !== 0) process.stderr.write(`late load: ${what}\n`);
};

registerHooks({
  load(url, context, next) {
    if (!isBuiltin(url)) say(url);
    return next(url, context);
  },
});
for (const name of [
  'readFileSync',
  'openSync',
  'readFile',
  'open',
  'readdirSync',
  'createReadStream',
  'realpathSync',
  'statSync',
]) {
  const original = fs[name];
  fs[name] = (path, ...rest) => {
    if (String(path).startsWith(ROOT)) say(`${name} ${String(path)}`);
    return original(path, ...rest);
  };
}
