// Measures the layers in a house of its own for `npm run attack`: progress on standard error, the rows as JSON on output.
import { holds, measureLayers } from './layers.ts';

const rows = await measureLayers((line) => void process.stderr.write(`${line}\n`));
process.stdout.write(`${JSON.stringify({ matrix: rows, ok: rows.every(holds) })}\n`);
