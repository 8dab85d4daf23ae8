// The gateway: the TLS edge, the try-out listener, limits, tenant tags, published pages. No database, no row, no session.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';
import { issueEdgeCertificate, type EdgeCertificate } from '@auditrax/workload';
import { createAttemptCounter } from '../platform/http/attempt-counter.ts';
import { edgeProblems, startEdge } from '../platform/edge/index.ts';
import { publicHost, readDoors } from './doors.ts';
import { fetchIdKeys, openFloor, type Floor } from './floor.ts';
import { EDGE_ROUTES } from './rooms.ts';
import { serve } from './serve.ts';

/** A made certificate is replaced this long before it ends; the authority changes with it (see `auditrax trust`). */
const RENEW_BEFORE_MS = 30 * 86_400_000;

interface Material {
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly authorityPem: string | null;
}

/** The configured certificate, or one of our own for localhost under an authority whose key is already gone. */
async function edgeMaterial({ member, clock }: Floor): Promise<Material> {
  const { certificateFile, keyFile } = member.boot.options as {
    certificateFile?: string | null;
    keyFile?: string | null;
  };
  if (certificateFile && keyFile) {
    return {
      keyPem: readFileSync(keyFile, 'utf8'),
      certificatePem: readFileSync(certificateFile, 'utf8'),
      authorityPem: null,
    };
  }
  const path = join(member.boot.stateDirectory, 'edge-certificate.json');
  if (existsSync(path)) {
    const known = JSON.parse(readFileSync(path, 'utf8')) as EdgeCertificate;
    if (known.notAfterMs - clock.nowMs() > RENEW_BEFORE_MS) return known;
  }
  const made = await issueEdgeCertificate({ clock, name: 'Auditrax edge' });
  writeFileSync(path, JSON.stringify(made), { mode: 0o600, flush: true });
  return made;
}

/**
 * The key that published pages are signed with, pinned at the first start: whoever takes over the sentinel's channel
 * later cannot exchange it. Throws `page_key_changed`.
 */
function pinPageKey({ member }: Floor, announced: string): KeyObject {
  const path = join(member.boot.stateDirectory, 'page-key');
  if (!existsSync(path)) writeFileSync(path, announced, { mode: 0o600, flag: 'wx', flush: true });
  if (readFileSync(path, 'utf8') !== announced) {
    throw new AppError(
      'page_key_changed',
      `the page-signing key is not the one pinned in ${path}: restore the sentinel's key, or remove that file if you changed it on purpose`,
    );
  }
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: announced }, format: 'jwk' });
}

const floor = await openFloor('gateway');

async function start(): Promise<void> {
  const { member, clock, random, log, pools, clockSkew } = floor;
  const doors = readDoors(member.boot.options);
  const { bind, browser, balancers } = member.boot.options as {
    bind: string;
    browser: string;
    balancers: readonly string[];
  };
  const material = await edgeMaterial(floor);
  const peers = await member.whenPeers(
    ({ facts, addresses }) => facts['pageKey'] !== undefined && addresses.issuer !== undefined,
  );
  const publishedFolder = join(member.boot.stateDirectory, 'published');
  mkdirSync(publishedFolder, { recursive: true, mode: 0o700 });
  const tagKeys = await fetchIdKeys(floor);
  const counter = createAttemptCounter();
  const edge = await startEdge({
    clock,
    random,
    log,
    pools,
    clockSkew,
    contracts: EDGE_ROUTES,
    tagKeys,
    counter,
    edge: {
      host: bind,
      port: doors.port,
      hostNames: [...new Set([doors.host, ...(bind === '127.0.0.1' ? ['127.0.0.1'] : [])])],
      publicHosts: doors.publicPort === doors.port ? [] : [publicHost(doors)],
      keyPem: material.keyPem,
      certificatePem: material.certificatePem,
    },
    balancers,
    tryout: doors.tryoutPort === null ? false : { port: doors.tryoutPort },
    staticFolder: browser,
    publishedFolder,
    pageSigningKey: pinPageKey(floor, peers.facts['pageKey'] as string),
    readiness: () => Promise.resolve([clockSkew.finding()]),
  });
  member.announce({ edgeAuthority: material.authorityPem, edgeCertificate: material.certificatePem });
  await serve(floor, 'gateway', {
    rooms: [edge.internalRoutes],
    problems: [edgeProblems],
    tagKeys,
    counter,
    readiness: () => edge.findings(),
    beforeClose: () => edge.drain(),
  });
}

await start().catch((error: unknown) => floor.member.fatal(error));
