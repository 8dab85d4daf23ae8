import { useEffect, useState } from 'react';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Beyond this a date says more than a distance. */
const RELATIVE_DAYS_MAX = 30;

/** `2026-11-22 19:31:07 UTC`. */
export function utcText(instant: string | number | Date): string {
  return `${new Date(instant).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Three letters each, so that columns of dates stand straight: browsers write "Sept" beside "Oct". */
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** `22 Nov 2026` of a date-only value or an instant, in UTC. */
export function dayText(day: string | number | Date): string {
  const date = new Date(day);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
}

/** "3 min ago", "in 2 h"; a plain date beyond 30 days. */
export function relativeText(instant: string | number | Date, now: number): string {
  const distance = new Date(instant).getTime() - now;
  const size = Math.abs(distance);
  if (size > RELATIVE_DAYS_MAX * DAY) return dayText(instant);
  const amount =
    size < 45 * SECOND
      ? 'moments'
      : size < HOUR
        ? `${Math.round(size / MINUTE)} min`
        : size < DAY
          ? `${Math.round(size / HOUR)} h`
          : `${Math.round(size / DAY)} d`;
  if (amount === 'moments') return distance > 0 ? 'in a moment' : 'just now';
  return distance > 0 ? `in ${amount}` : `${amount} ago`;
}

/** The present, renewed every `everyMs`; one timer a component. */
export function useNow(everyMs = 30 * SECOND): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** A distance to read, the exact UTC instant on hover and for assistive technology. */
export function Ago({ at }: { at: string }) {
  const now = useNow();
  const ahead_ms = new Date(at).getTime() - now;
  return (
    <time dateTime={at} title={utcText(at)}>
      {/* The present is renewed by a timer: what has just happened must not seem to lie ahead. */}
      {ahead_ms > 0 && ahead_ms < 45 * SECOND ? 'just now' : relativeText(at, now)}
    </time>
  );
}

/** The exact instant, in UTC, in monospace. */
export function Instant({ at }: { at: string }) {
  return (
    <time dateTime={at} className="mono">
      {utcText(at)}
    </time>
  );
}

/** A deadline with what happens when it lapses. */
export function Deadline({ due, then, nearMs = DAY }: { due: string; then: string; nearMs?: number }) {
  const now = useNow();
  const left = new Date(due).getTime() - now;
  const state = left < 0 ? 'lapsed' : left < nearMs ? 'near' : 'far';
  return (
    <span className={`deadline deadline--${state}`}>
      <time className="deadline__due" dateTime={due} title={utcText(due)}>
        {left < 0 ? `lapsed ${relativeText(due, now)}` : `due ${relativeText(due, now)}`}
      </time>
      <span className="muted">{left < 0 ? then : `then ${then}`}</span>
    </span>
  );
}
