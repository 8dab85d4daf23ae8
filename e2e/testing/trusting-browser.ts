import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { launchBrowser } from './site.ts';

/** True when no browser can be made to trust an authority; with CI=true that is a failure, not a gap. */
export const certutilMissing = spawnSync('certutil', ['-H'], { stdio: 'ignore' }).error !== undefined;
if (certutilMissing && process.env['CI'] === 'true')
  throw new Error('certutil (libnss3-tools) is missing with CI=true');
if (certutilMissing) console.warn('skipped: certutil (libnss3-tools) is missing, so no browser can trust the edge');

export interface TrustingBrowser {
  readonly browser: Browser;
  close(): Promise<void>;
}

/** A browser whose certificate store trusts these authorities (PEM) beside the public ones. */
export async function openTrustingBrowser(authorities: readonly string[]): Promise<TrustingBrowser> {
  const home = mkdtempSync(join(tmpdir(), 'auditrax-home-'));
  const store = join(home, '.pki/nssdb');
  mkdirSync(store, { recursive: true });
  const certutil = (...args: string[]) => execFileSync('certutil', ['-d', `sql:${store}`, ...args]);
  certutil('-N', '--empty-password');
  for (const [index, authority] of authorities.entries()) {
    const pem = join(home, `authority-${index}.pem`);
    writeFileSync(pem, authority);
    certutil('-A', '-n', `authority-${index}`, '-t', 'C,,', '-i', pem);
  }
  const browser = await launchBrowser(home);
  return {
    browser,
    async close() {
      await browser.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
