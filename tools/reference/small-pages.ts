import { allClaims } from '../../app/claims/register.ts';
import { SETTINGS } from '../../app/bin/settings.ts';
import { RULES } from '../../app/domains/detections/index.ts';
import { ENGAGEMENT_EVENTS, ENGAGEMENT_STATES, MACHINE } from '../../app/domains/engagements/states.ts';
import { keyState } from '../../app/domains/keys/contract.ts';
import { KEY_EVENTS, KEY_MACHINE } from '../../app/domains/keys/states.ts';
import { DELETION_EVENTS, DELETION_MACHINE, DELETION_STATES } from '../../app/domains/tenants/states.ts';
import {
  ATTEMPTS_PER_RESOURCE_MAX,
  REFUSALS,
  RULE_ATTEMPTS_PER_SESSION_MAX,
  TELL_EVERY_MS,
  WALL_ATTEMPTS_PER_SESSION_MAX,
} from '../../app/platform/audit/index.ts';
import { code, page, table } from './markdown.ts';

/** Every environment variable. */
export function configurationPage(): string {
  return page('Configuration', '`app/bin/settings.ts`', [
    'Environment variables, read once by `app/bin`; nothing else reads the environment. A bad value stops the start and names the variable.',
    table(
      ['variable', 'meaning'],
      Object.entries(SETTINGS).map(([name, text]) => [code(name), text]),
    ),
  ]);
}

/** The house's detections. */
export function detectionsPage(): string {
  const technique = (id: string) => `[${id}](https://attack.mitre.org/techniques/${id.replace('.', '/')}/)`;
  return page('Detections', '`app/domains/detections/rules.ts`', [
    'Each looks at one entry of the audit log, so that a replay of the log raises the same alerts. A canary tenant raises the same alert; its page goes to a counted channel of its own.',
    table(
      ['detection', 'severity', 'says', 'ATT&CK'],
      RULES.map((rule) => [code(rule.id), rule.severity, rule.says, rule.techniques.map(technique).join(', ')]),
    ),
  ]);
}

/** Every way to be refused. */
export function refusalsPage(): string {
  const severities = new Map(RULES.map((rule) => [rule.id, rule]));
  const written = { each: 'singly, within a budget', counted: 'in sums' };
  return page('Refusals', '`app/platform/audit/refusals.ts`, `app/domains/detections/rules.ts`', [
    'Whoever is refused is told nothing of why; the log is. Each code is a detection of its own. Singly means before the answer: an entry for each attempt until the budget of its session is used up, and beyond that a count, told in sums. What anybody can do without a session is counted from the beginning, one entry for each window, source and code.',
    table(
      ['code', 'layer', 'what happened', 'in the log', 'severity'],
      Object.entries(REFUSALS).map(([id, { layer, says, written: how }]) => [
        code(id),
        layer,
        says,
        written[how],
        severities.get(id)!.severity,
      ]),
    ),
    `Budgets: ${WALL_ATTEMPTS_PER_SESSION_MAX} attempts on other tenants end their session; refusals by role, row or approval are written singly ${RULE_ATTEMPTS_PER_SESSION_MAX} times an hour in one session; where no session is behind them, ${ATTEMPTS_PER_RESOURCE_MAX} times an hour for one passkey or one tenant. Sums are written every ${TELL_EVERY_MS / 1000} seconds.`,
  ]);
}

interface Machine<State extends string, Event extends string> {
  readonly title: string;
  readonly states: readonly State[];
  readonly events: readonly Event[];
  readonly table: Readonly<
    Record<State, Readonly<Record<Event, { readonly to: State } | { readonly refused: string }>>>
  >;
}

function machineSection<State extends string, Event extends string>(machine: Machine<State, Event>): string[] {
  const { states, events } = machine;
  const arrows = states.flatMap((from) =>
    events.flatMap((event) => {
      const outcome = machine.table[from][event];
      return 'to' in outcome ? [`  ${from} --> ${outcome.to}: ${event}`] : [];
    }),
  );
  const rows = states.map((from) => [
    code(from),
    ...events.map((event) => {
      const outcome = machine.table[from][event];
      if ('refused' in outcome) return outcome.refused;
      return outcome.to === from ? 'allowed' : `to ${code(outcome.to)}`;
    }),
  ]);
  return [
    `## ${machine.title}`,
    ['```mermaid', 'stateDiagram-v2', `  [*] --> ${states[0]}`, ...arrows, '```'].join('\n'),
    table(['state', ...events.map((event) => code(event))], rows),
  ];
}

/** Every state machine: states, events and the answer of each pair. */
export function stateMachinesPage(): string {
  return page('State machines', '`app/domains/*/states.ts`', [
    ...machineSection({
      title: 'Engagement',
      states: ENGAGEMENT_STATES,
      events: ENGAGEMENT_EVENTS,
      table: MACHINE,
    }),
    ...machineSection({ title: 'Data key', states: keyState.options, events: KEY_EVENTS, table: KEY_MACHINE }),
    ...machineSection({
      title: 'Deletion of a tenant',
      states: DELETION_STATES,
      events: DELETION_EVENTS,
      table: DELETION_MACHINE,
    }),
  ]);
}

/** Every claim of the public page and what it hangs on. */
export function claimsPage(): string {
  const rows = allClaims.map((claim) => [
    code(claim.id),
    [claim.sentence, ...(claim.exceptions ?? []).map((exception) => `*Except:* ${exception}`)].join(' '),
    claim.kind,
    claim.probe === undefined ? 'none' : code(claim.probe),
    claim.enforcers
      .map(({ file, export: name, necessary }) => `${code(`${file} › ${name}`)}${necessary ? '' : ' (supporting)'}`)
      .join(', '),
  ]);
  const probed = allClaims.filter((claim) => claim.probe !== undefined).length;
  return page('Claims', '`app/claims/`', [
    `${allClaims.length} claims, ${probed} with a probe that keeps trying to break them. Without its enforcer a claim turns red, unless the enforcer is marked as supporting.`,
    table(['claim', 'sentence', 'proof', 'probe', 'enforcers'], rows),
  ]);
}
