import { PROBE_SECONDS_HOUR, type Probe, type ProbeHouse } from '../../claims/probe.ts';
import { checks, verdict } from '../../claims/verdict.ts';

/** Test numbers that the card networks publish for this use; none of them is an account. */
const TEST_NUMBERS = ['4111 1111 1111 1111', '5555-5555-5555-4444', '378282246310005'] as const;
/** Looks alike, but its last digit is wrong. */
const NO_CARD = '4111 1111 1111 1112';
/** No result of a canary is ever that far: what passes the card check is refused as a conflict, and nothing is stored. */
const REVISION_BEYOND = 999_999;
const PAGE_SCRIPTS_MAX = 40;

interface Field {
  readonly name: string;
  readonly path: string;
  readonly body: (text: string) => object;
}

function fieldsOf(house: ProbeHouse): readonly Field[] {
  const { ids } = house.canaries.a;
  const engagement = { periodStart: '2026-01-01', periodEnd: '2026-01-31', catalogue: { source: 'sample' } };
  const note = (text: string) => ({
    outcome: 'satisfied',
    note: `Paid with ${text}.`,
    observedOn: '2026-01-02',
    revision: REVISION_BEYOND,
  });
  const upload = (text: string) => ({
    criterionId: ids['crt'],
    fileName: `${text}.txt`,
    mediaType: 'text/plain',
    sizeBytes: 1,
    speaksAbout: { from: '2026-01-01', to: '2026-01-02' },
  });
  return [
    { name: 'title', path: '/api/engagements', body: (text) => ({ ...engagement, title: text, clientName: 'Nobody' }) },
    {
      name: 'client name',
      path: '/api/engagements',
      body: (text) => ({ ...engagement, title: 'Canary', clientName: text }),
    },
    { name: 'note', path: `/api/engagements/${ids['eng']}/criteria/${ids['crt']}/result`, body: note },
    { name: 'file name', path: `/api/engagements/${ids['eng']}/evidence/uploads`, body: upload },
  ];
}

/** Does any form of the app ask a browser for a card? Browsers know such fields by their autofill names. */
async function formsThatAsk(house: ProbeHouse): Promise<number> {
  const start = await house.fetch('/app/');
  const paths = [...start.text().matchAll(/(?:src|href)="(\/app\/[^"]+\.js)"/g)].map((match) => match[1]!);
  const pages = await Promise.all(paths.slice(0, PAGE_SCRIPTS_MAX).map((path) => house.fetch(path)));
  return [start, ...pages].filter((page) => /\bcc-(?:number|csc|exp)\b/.test(page.text())).length;
}

/** Sends published test numbers into every text field that a person can fill. */
export const cardNumbersProbe: Probe = {
  id: 'engagements.card-numbers',
  claims: ['cert.pci-saq-a'],
  everySeconds: PROBE_SECONDS_HOUR,
  async run(house) {
    const done = checks();
    const { cookie } = await house.session('a', 'lead');
    const fields = fieldsOf(house);
    for (const [at, field] of fields.entries()) {
      const number = TEST_NUMBERS[at % TEST_NUMBERS.length]!;
      const reply = await house.fetch(field.path, { method: 'POST', json: field.body(number) as never, cookie });
      done.expect(reply.problem() === 'card_number_refused', `The ${field.name} took a card number (${reply.status}).`);
      done.expect(!reply.text().includes(number), `The refusal of the ${field.name} repeats the number.`);
    }
    const note = fields.find((field) => field.name === 'note')!;
    const harmless = await house.fetch(note.path, { method: 'POST', json: note.body(NO_CARD) as never, cookie });
    done.expect(
      harmless.status === 409,
      `A number that is no card was answered ${harmless.status} (${harmless.problem() ?? 'no problem'}).`,
    );
    done.expect((await formsThatAsk(house)) === 0, 'A form asks for a card number.');
    return verdict(done, {
      green: `Published test numbers were refused in ${fields.length} text fields, and a number with a wrong check digit was not; no form asks for one.`,
      evidence: { fields: fields.map((field) => field.name) },
    });
  },
};
