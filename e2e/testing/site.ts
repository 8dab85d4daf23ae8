// The running house as people meet it: a real Chromium with a virtual passkey device against real processes.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type CDPSession,
  type ConsoleMessage,
  type Page,
} from 'playwright-core';
import type { ProductionScope } from '@auditrax/base';
import type { House } from '../../app/bin/house.ts';
import { makeStateFolder, openTestHouse, removeFolder, seedSample, type SampleLink } from './house.ts';

const CHROMIUM = '/usr/bin/chromium';
const ROOT = join(import.meta.dirname, '../..');
const PICTURES = join(ROOT, 'dist/screenshots');
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** A device with a screen lock that approves by itself. */
const DEVICE = {
  protocol: 'ctap2',
  hasResidentKey: true,
  hasUserVerification: true,
  isUserVerified: true,
  automaticPresenceSimulation: true,
} as const;
/** A screen that takes longer is broken, however loaded the machine is. */
const SCREEN_MS_MAX = 20_000;

/** Lines of the processes that are shown when the house does not start. */
const LAST_WORDS = 20;

/** True when there is no browser to look with; with CI=true that is a failure, not a gap. */
export const browserMissing = !existsSync(CHROMIUM);
if (browserMissing && process.env['CI'] === 'true')
  throw new Error(`${CHROMIUM} is missing; with CI=true the browser journeys may not be skipped`);
if (browserMissing) console.warn(`skipped: ${CHROMIUM} is missing, so no journey was made in a browser`);

// Listens before any script of the page, so that nothing is blocked unseen.
const COLLECTOR = `addEventListener('securitypolicyviolation', (event) => globalThis.__refused(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile + ':' + event.lineNumber + ' ' + event.sample));`;

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** Starts Debian's Chromium; `home` is the folder whose certificate store it trusts. */
export function launchBrowser(home?: string): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: FLAGS,
    ...(home === undefined ? {} : { env: { ...process.env, HOME: home } as Record<string, string> }),
  });
}

export interface VisitorOptions {
  readonly width?: number;
  readonly colorScheme?: 'light' | 'dark';
  /** Default true: a device with a screen lock that approves by itself. */
  readonly hasPasskeyDevice?: boolean;
}

/** The texts that reach out of the window: a box that fits may hold a line that does not. */
const TEXTS_BEYOND = `(() => {
  const width = document.documentElement.clientWidth;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    if (range.getBoundingClientRect().right > width) found.push(node.textContent.slice(0, 60));
  }
  return found;
})()`;

/** One person at one browser: a context of their own, and everything that went wrong in it. */
export class Visitor {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly #origin: string;
  readonly #faults: string[] = [];
  #expected: RegExp[] = [];
  #devices: CDPSession | undefined;
  #authenticator: string | undefined;

  private constructor(page: Page, origin: string) {
    this.page = page;
    this.context = page.context();
    this.#origin = origin;
  }

  static async open(browser: Browser, origin: string, options: VisitorOptions): Promise<Visitor> {
    const context = await browser.newContext({
      viewport: { width: options.width ?? 1280, height: 900 },
      colorScheme: options.colorScheme ?? 'light',
      reducedMotion: 'reduce',
      acceptDownloads: true,
    });
    context.setDefaultTimeout(SCREEN_MS_MAX);
    const visitor = new Visitor(await context.newPage(), origin);
    await context.exposeBinding('__refused', (_source, line: string) => {
      visitor.#faults.push(`refused by policy: ${line}`);
    });
    await context.addInitScript(COLLECTOR);
    visitor.page.on('console', (message) => visitor.#hear(message));
    visitor.page.on('pageerror', (error) => visitor.#faults.push(`page error: ${error.message}`));
    if (options.hasPasskeyDevice ?? true) await visitor.plugIn();
    return visitor;
  }

  #hear(message: ConsoleMessage): void {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const said = `${message.text()} (${message.location().url})`;
    if (!this.#expected.some((pattern) => pattern.test(said))) this.#faults.push(`console ${message.type()}: ${said}`);
  }

  /** Plugs in a passkey device, in the place of the one before: the page then sees only the new one. */
  async plugIn(): Promise<void> {
    this.#devices ??= await this.context.newCDPSession(this.page);
    await this.#devices.send('WebAuthn.enable');
    if (this.#authenticator !== undefined)
      await this.#devices.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: this.#authenticator });
    const { authenticatorId } = await this.#devices.send('WebAuthn.addVirtualAuthenticator', {
      options: { ...DEVICE, transport: 'internal' },
    });
    this.#authenticator = authenticatorId;
  }

  /** Whether the person passes the device's screen lock from now on. */
  async unlocks(able: boolean): Promise<void> {
    await this.#devices!.send('WebAuthn.setUserVerified', {
      authenticatorId: this.#authenticator!,
      isUserVerified: able,
    });
  }

  /** From now on a console message like this is part of the journey (a browser reports every refused request). */
  expects(pattern: RegExp): void {
    this.#expected.push(pattern);
  }

  /** The end of what was expected; everything counts again. */
  expectsNothing(): void {
    this.#expected = [];
  }

  async goto(path: string): Promise<void> {
    await this.page.goto(this.#origin + path);
  }

  button(name: string | RegExp) {
    return this.page.getByRole('button', { name });
  }

  /** The dialog or the drawer in front; messages that pass by are dialogs too, but never in the way. */
  get dialog() {
    return this.page.locator('[role=dialog]:not(.toast)');
  }

  /** Waits for a heading, the name of the screen that is then before the person. */
  async sees(heading: string | RegExp): Promise<void> {
    const found = this.page.getByRole('heading', { name: heading }).first();
    await found.waitFor().catch(async (cause: unknown) => {
      const screen = await this.page.locator('body').innerText();
      throw new Error(`no heading ${heading} on ${this.page.url()}, which reads:\n${screen}`, { cause });
    });
  }

  async reads(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor();
  }

  /** Signs in with a passkey made from an enrolment link. */
  async enrol(path: string): Promise<void> {
    await this.goto(path);
    await this.button('Make a passkey and sign in').click();
    await this.page.getByRole('navigation', { name: 'Rooms' }).waitFor();
    if (!(await this.needsSecondPasskey())) return;
    await this.addPasskey();
    await this.goto('/app/');
    await this.page.getByRole('navigation', { name: 'Rooms' }).waitFor();
  }

  /** Whether the person leads or operates and was sent to make a second passkey at once. */
  async needsSecondPasskey(): Promise<boolean> {
    const { body } = await this.ask('/api/identity/session');
    const { role, passkeys } = body as { role: string; passkeys: number };
    return (role === 'lead' || role === 'operator') && passkeys < 2;
  }

  /** Makes a further passkey on a second device, which is put away again; `press` finds the button in its own way. */
  async addPasskey(press = () => this.button('Add a passkey').click()): Promise<void> {
    await this.sees('Your passkeys');
    const first = { authenticatorId: this.#authenticator! };
    // A device that already holds one would answer that it does: nobody touches it now.
    await this.#devices!.send('WebAuthn.setAutomaticPresenceSimulation', { ...first, enabled: false });
    const second = await this.#devices!.send('WebAuthn.addVirtualAuthenticator', {
      options: { ...DEVICE, transport: 'usb' },
    });
    await press();
    await this.reads('Passkey added');
    await this.#devices!.send('WebAuthn.removeVirtualAuthenticator', second);
    await this.#devices!.send('WebAuthn.setAutomaticPresenceSimulation', { ...first, enabled: true });
  }

  /** Asks for production access; where another operator has to let them in, `by` does. */
  async getsProduction(scopes: readonly ProductionScope[], by?: Visitor): Promise<void> {
    await this.goto('/app/production-access');
    await this.asksForProduction(scopes);
    if (by !== undefined) {
      await by.goto('/app/production-access');
      await by.button('Let them in…').click();
      await by.button('Approve with passkey').click();
    }
    await this.page.getByRole('button', { name: 'End now' }).first().waitFor();
  }

  /** From the button on whatever screen to the passkey; what is chosen already stays so. */
  async asksForProduction(scopes: readonly ProductionScope[]): Promise<void> {
    await this.button('Ask for access…').first().click();
    await this.page.getByLabel('Reason').fill('A journey of the tests');
    for (const scope of scopes) await this.dialog.locator(`input[name=${scope}]`).check();
    await this.button('Go on to approval').click();
    await this.button('Approve with passkey').click();
    await this.button('Approve with passkey').waitFor({ state: 'detached' });
  }

  async signInWithPasskey(): Promise<void> {
    await this.goto('/app/sign-in');
    await this.button('Sign in with a passkey').click();
    await this.page.getByRole('navigation', { name: 'Rooms' }).waitFor();
  }

  /** Signs in by a one-time link. */
  async follow(path: string): Promise<void> {
    await this.goto(path);
    await this.button('Sign in by this link').click();
    await this.page.getByRole('navigation', { name: 'Rooms' }).waitFor();
  }

  /** Asks the API as the page itself would. */
  async ask(path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    return this.page.evaluate(
      async ([address, sent]) => {
        const reply = await fetch(address as string, {
          method: sent === null ? 'GET' : 'POST',
          ...(sent === null ? {} : { body: sent as string, headers: { 'content-type': 'application/json' } }),
        });
        return { status: reply.status, body: (await reply.json().catch(() => null)) as unknown };
      },
      [path, body === undefined ? null : JSON.stringify(body)],
    );
  }

  /** Looks at the screen with axe-core and for content wider than the window; what it finds counts as a fault. */
  async look(name: string): Promise<void> {
    await this.page.locator('h1').first().waitFor();
    await this.page.evaluate('document.fonts.ready.then(() => undefined)');
    await this.page.evaluate(AXE);
    const findings = await this.page.evaluate<string[]>(
      'axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ") + " (" + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? "") + ")").slice(0, 4).join(" | ")))',
    );
    this.#faults.push(...findings.map((finding) => `${name}: ${finding}`));
    await this.fits(name);
  }

  /** Content wider than the window counts as a fault. */
  async fits(name: string): Promise<void> {
    const wide = await this.page.evaluate<number>(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
    if (wide <= 0) return;
    const widest = await this.page.evaluate<string[]>(TEXTS_BEYOND);
    this.#faults.push(`${name}: ${wide} px wider than the window (${widest.slice(-3).join(' | ')})`);
  }

  /** Keeps pictures of the screen for people to look at: wide and narrow, light and dark. */
  async picture(name: string): Promise<void> {
    mkdirSync(PICTURES, { recursive: true });
    await this.page.locator('h1').first().waitFor();
    const size = this.page.viewportSize()!;
    for (const width of [1280, 390]) {
      await this.page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
      for (const colorScheme of ['light', 'dark'] as const) {
        await this.page.emulateMedia({ colorScheme });
        await this.page.screenshot({ path: join(PICTURES, `${name}-${width}-${colorScheme}.png`) });
      }
      await this.look(`${name} at ${width} px, dark`);
    }
    await this.page.emulateMedia({ colorScheme: 'light' });
    await this.page.setViewportSize(size);
  }

  /** Everything that went wrong since it was asked for last; empty is well. */
  faults(): string[] {
    return this.#faults.splice(0);
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}

export interface Site {
  readonly house: House;
  /** What the processes said. */
  readonly lines: readonly string[];
  readonly browser: Browser;
  /** The door without TLS, where most journeys go. */
  readonly door: string;
  visitor(options?: VisitorOptions): Promise<Visitor>;
  /** Fresh one-time links of a sample person; those from before no longer work. */
  invitation(role: string, tenant?: string): Promise<SampleLink>;
  /** Faults of all visitors, those who have left included. */
  faults(): string[];
  close(): Promise<void>;
}

/** Starts a house in a state folder of its own, seeds the sample, and opens a browser. */
export async function openSite(change: Parameters<typeof openTestHouse>[1] = {}): Promise<Site> {
  const state = makeStateFolder();
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const opening = openTestHouse(state, { log, ...change }).catch((error: unknown) => {
    removeFolder(state);
    throw new Error(`the house did not start:\n${lines.slice(-LAST_WORDS).join('\n')}`, { cause: error });
  });
  const [test, browser] = await Promise.all([opening, launchBrowser()]);
  const { house } = test;
  const visitors: Visitor[] = [];
  const links = () => seedSample(house);
  await links();
  return {
    house,
    lines,
    browser,
    door: house.tryoutUrl!,
    async visitor(options = {}) {
      const visitor = await Visitor.open(browser, house.tryoutUrl!, options);
      visitors.push(visitor);
      return visitor;
    },
    async invitation(role, tenant = 'Harbour Street Audit') {
      const link = (await links()).find((candidate) => candidate.role === role && candidate.tenant === tenant);
      if (link === undefined) throw new Error(`no sample person ${role} of ${tenant}`);
      return link;
    },
    faults: () => visitors.flatMap((visitor) => visitor.faults()),
    async close() {
      await browser.close();
      await test.stop();
      removeFolder(state);
    },
  };
}
