import { AppError, type Json, type ServiceName } from '@auditrax/base';
import type { House } from './house.ts';

type Answer = (house: House, input: Json, progress: (line: string) => void) => Promise<Json>;

/** What the operator's commands may ask of a running house, by name. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  status: (house) =>
    Promise.resolve({
      pids: house.supervisor.pids(),
      edge: house.edgeUrl,
      tryout: house.tryoutUrl ?? null,
      separation: house.separation,
      edgeAuthority: house.supervisor.peers().facts['edgeAuthority'] ?? null,
    }),
  findings: async (house) => {
    const services = Object.keys(house.supervisor.pids()) as ServiceName[];
    const answers = services.map((service) =>
      house.supervisor.ask(service, 'findings', null).then(
        (findings) => [service, findings] as const,
        (error: Error) => [service, [{ check: 'answers', ok: false, detail: error.message }]] as const,
      ),
    );
    return Object.fromEntries(await Promise.all(answers));
  },
  links: (house) => house.supervisor.ask('issuer', 'seed', null),
  prove: (house, input) => house.supervisor.ask('sentinel', 'prove', input),
  attack: (house, input) => house.supervisor.ask('sentinel', 'attack', input),
  'id-key': (house, input) => house.supervisor.ask('issuer', 'id-key', input),
  'log-keys': (house) => house.supervisor.ask('ledger', 'log-keys', null),
  'log-key-entries': (house) => house.supervisor.ask('ledger', 'log-key-entries', null),
  'change-key': (house, input) => house.supervisor.ask('ledger', 'change-key', input),
  'new-generation': async (house, input) => {
    const answer = await house.supervisor.ask('ledger', 'new-generation', input);
    // Nobody hands a key over after a compromise: whoever gave the order vouches for the new one.
    if (isNewKey(input)) await house.supervisor.ask('sentinel', 'trust-log-key', null);
    return answer;
  },
};

function isNewKey(input: Json): boolean {
  return typeof input === 'object' && input !== null && (input as Record<string, Json>)['newKey'] === true;
}

/** Answers one question over the control socket. Throws `unknown_question`. */
export function answerControl(
  house: House,
  question: { name: string; input: Json },
  progress: (line: string) => void,
): Promise<Json> {
  const answer = ANSWERS[question.name];
  if (answer === undefined)
    throw new AppError(
      'unknown_question',
      `the running house does not know "${question.name}": is it an older version?`,
    );
  return answer(house, question.input, progress);
}
