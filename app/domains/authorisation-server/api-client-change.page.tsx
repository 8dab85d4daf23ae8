import { useQueryClient } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Dialog, toast } from '../../ui/overlay.tsx';
import { request } from '../../shell/api.ts';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ApiClient } from '../../shell/wire.ts';
import { ClientWordsFields, readWords, type ClientWords } from './api-client-fields.page.tsx';

const wordsOf = ({ name, access, redirectUris, handsTo }: ApiClient): ClientWords => ({
  name,
  access,
  redirectUris,
  handsTo: handsTo.map(({ clientId }) => clientId),
});

/** Whether something is taken away; the server decides what ends by it. */
function isNarrower(before: ClientWords, after: ClientWords): boolean {
  const isGone = (name: 'redirectUris' | 'handsTo') => before[name].some((one) => !after[name].includes(one));
  return (before.access === 'write' && after.access === 'read') || isGone('redirectUris') || isGone('handsTo');
}

const endedWords = (count: number): string =>
  count === 0
    ? 'What people have allowed goes on.'
    : `${count} ${count === 1 ? 'permission has' : 'permissions have'} ended.`;

interface ChangeProps {
  readonly client: ApiClient;
  /** Agents of the organisation beside it. */
  readonly agents: readonly ApiClient[];
  readonly onClose: () => void;
}

/** Says a program's registration anew, with a passkey; what was typed is there again when the approval is left. */
export function ClientChange({ client, agents, onClose }: ChangeProps) {
  const queries = useQueryClient();
  const formId = useId();
  const before = wordsOf(client);
  const [words, setWords] = useState(before);
  const [isAsking, setIsAsking] = useState(false);
  const body = { ...words, revision: client.revision };
  if (isAsking)
    return (
      <StepUpDialog
        open
        onClose={() => setIsAsking(false)}
        operation="authorisation-server.change-client"
        input={{ apiClientId: client.id, ...body }}
        title={`Change ${client.name}`}
        confirm="Approve with passkey"
        effects={
          <p>
            {isNarrower(before, words)
              ? 'What people have allowed it beyond this ends at once; how many permissions that is stands below. The program has to ask them again.'
              : 'What people have allowed it stays as it is. For more than that, the program has to ask them again.'}
          </p>
        }
        commit={(stepUp) =>
          request<{ ended: number }>(`/api/authorisation-server/clients/${client.id}/change`, { body, stepUp })
        }
        onDone={({ ended }) => {
          onClose();
          toast('Changed', endedWords(ended));
          void queries.invalidateQueries({ queryKey: ['api-clients'] });
        }}
      />
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Change ${client.name}`}
      description="Its kind, its client id and an agent’s key stay. With another key it is another agent."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" form={formId}>
            Go on to approval
          </Button>
        </>
      }
    >
      <form
        id={formId}
        className="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setWords(readWords(event.currentTarget));
          setIsAsking(true);
        }}
      >
        <ClientWordsFields words={words} agents={agents} />
      </form>
    </Dialog>
  );
}
