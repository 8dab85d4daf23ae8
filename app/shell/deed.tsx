import { request } from './api.ts';
import { StepUpDialog } from './step-up.tsx';

/** What a passkey is asked for: a change that is one POST and answers nothing that anybody waits for. */
export interface Deed {
  readonly operation: string;
  readonly path: string;
  /** As it is signed: path parameters and body in one. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly body: Readonly<Record<string, unknown>>;
  readonly title: string;
  readonly effects: string;
  readonly isDanger?: boolean;
}

/** Shows a deed, asks for the passkey and carries it out. */
export function DeedDialog({ deed, onClose, onDone }: { deed: Deed; onClose: () => void; onDone: () => void }) {
  return (
    <StepUpDialog
      open
      onClose={onClose}
      operation={deed.operation}
      input={deed.input}
      title={deed.title}
      confirm="Approve with passkey"
      isDanger={deed.isDanger ?? false}
      effects={<p>{deed.effects}</p>}
      commit={(stepUp) => request<unknown>(deed.path, { body: deed.body, stepUp })}
      onDone={onDone}
    />
  );
}
