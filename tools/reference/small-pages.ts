import { allClaims } from '../../app/claims/register.ts';
import { SETTINGS } from '../../app/bin/settings.ts';
import { RULES } from '../../app/domains/detections/index.ts';
import { ENGAGEMENT_EVENTS, ENGAGEMENT_STATES, MACHINE } from '../../app/domains/engagements/states.ts';
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

/** The engagement's state machine: a picture of what moves it, and why everything else is refused. */
export function stateMachinesPage(): string {
  const arrows = ENGAGEMENT_STATES.flatMap((from) =>
    ENGAGEMENT_EVENTS.flatMap((event) => {
      const outcome = MACHINE[from][event];
      return 'to' in outcome ? [`  ${from} --> ${outcome.to}: ${event}`] : [];
    }),
  );
  const first = `  [*] --> ${ENGAGEMENT_STATES[0]}`;
  const rows = ENGAGEMENT_STATES.map((from) => [
    code(from),
    ...ENGAGEMENT_EVENTS.map((event) => {
      const outcome = MACHINE[from][event];
      if ('refused' in outcome) return outcome.refused;
      return outcome.to === from ? 'allowed' : `to ${code(outcome.to)}`;
    }),
  ]);
  return page('State machines', '`app/domains/engagements/states.ts`', [
    '## Engagement',
    ['```mermaid', 'stateDiagram-v2', first, ...arrows, '```'].join('\n'),
    table(['state', ...ENGAGEMENT_EVENTS.map((event) => code(event))], rows),
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
