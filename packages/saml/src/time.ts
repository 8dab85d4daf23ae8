import { refusal } from './errors.ts';

/** SAML Core 1.3.3: xs:dateTime in UTC. A zone or none would be read differently by different readers. */
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/;

/** Milliseconds since the Unix epoch. Throws `saml_time_form`, also for the 30th of February. */
export function instantOf(text: string, place: string): number {
  const at_ms = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at_ms) || new Date(at_ms).toISOString().slice(0, 19) !== text.slice(0, 19))
    throw refusal('saml_time_form', place);
  return at_ms;
}

/** The form in which this side writes instants. */
export function instantText(at_ms: number): string {
  return `${new Date(at_ms).toISOString().slice(0, 19)}Z`;
}
