import { Notice } from '../ui/display.tsx';
import { Button } from '../ui/button.tsx';
import { ProblemError } from './problem.ts';

/** True when text was refused because it reads like a payment card number. */
export function isCardRefusal(error: unknown): boolean {
  return error instanceof ProblemError && error.problem.code === 'card_number_refused';
}

/** The field named by a problem, without the path before it. */
function fieldOf(error: ProblemError): string {
  return error.problem.field?.split(/[./]/).at(-1) ?? '';
}

/** Lets the person declare that it is none; the declaration is sent along and recorded. */
export function CardOverride({
  error,
  busy,
  onDeclare,
}: {
  error: unknown;
  busy: boolean;
  onDeclare: (field: string) => void;
}) {
  if (!(error instanceof ProblemError) || !isCardRefusal(error)) return null;
  const field = fieldOf(error);
  return (
    <Notice kind="stale" title="A number in this text reads like a payment card">
      <p>
        {field && (
          <>
            <code>{field}</code>:{' '}
          </>
        )}
        Card numbers are not kept here. Take it out, or declare that it is none: your declaration is recorded in the
        audit trail.
      </p>
      <div className="row">
        <Button small busy={busy} onClick={() => onDeclare(field)}>
          It is not a card number: send it so
        </Button>
      </div>
    </Notice>
  );
}
