// Debian's Chromium with the verifier's own sources, types removed, as its only page: for tests and measurements.
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { chromium, type Page } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** Why there is no browser here; undefined when there is one. */
export const chromiumMissing = existsSync(CHROMIUM) ? undefined : `${CHROMIUM} is not installed`;

function serveSources(): Promise<Server> {
  const server = createServer((request, response) => {
    const name = basename(request.url ?? '');
    if (!name.endsWith('.ts')) return response.setHeader('content-type', 'text/html').end('<!doctype html>');
    const source = readFileSync(join(import.meta.dirname, name), 'utf8');
    response.setHeader('content-type', 'text/javascript');
    return response.end(stripTypeScriptTypes(source, { mode: 'strip' }));
  });
  // Web Crypto is there for secure origins only; the loopback address is one.
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** What `verify-browser.ts` exports, as the page sees it. */
export type InPage = typeof import('./verify-browser.ts');

/**
 * Runs a function in a page, with the verifier as its second argument; nothing of the caller's module is there. Input and
 * output are JSON.
 */
export async function inChromium<Input, Output>(
  work: (input: Input, verifier: InPage) => Promise<Output>,
  input: Input,
): Promise<Output> {
  const server = await serveSources();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  try {
    const page: Page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const load = "import * as verifier from '/verify-browser.ts'; globalThis.verifier = verifier;";
    await page.addScriptTag({ type: 'module', content: load });
    await page.waitForFunction('globalThis.verifier !== undefined');
    return (await page.evaluate(`(${work.toString()})(${JSON.stringify(input)}, globalThis.verifier)`)) as Output;
  } finally {
    await browser.close();
    server.close();
  }
}
