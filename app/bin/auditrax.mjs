#!/usr/bin/env node
import { bootstrap } from '../../start.mjs';

await bootstrap(process.argv.slice(2));
