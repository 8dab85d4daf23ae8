import type { ReactNode } from 'react';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/overlay.tsx';
import { Failure } from './failure.tsx';

/** Asks once before something ends that does not come back; for what takes access away and so needs no passkey. */
export function ConfirmDialog(props: {
  title: string;
  effects: ReactNode;
  confirm: string;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}) {
  return (
    <Dialog
      open
      onClose={props.onClose}
      title={props.title}
      description={props.effects}
      foot={
        <>
          <Button onClick={props.onClose}>Cancel</Button>
          <Button look="danger" busy={props.busy} onClick={props.onConfirm}>
            {props.confirm}
          </Button>
        </>
      }
    >
      <Failure error={props.error} />
    </Dialog>
  );
}
