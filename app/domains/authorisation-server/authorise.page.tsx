import { useMutation, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { Facts, Notice, PageHead } from '../../ui/display.tsx';
import { ChecksField } from '../../ui/field.tsx';
import { toggled } from '../../ui/toggled.ts';
import { request } from '../../shell/api.ts';
import { Failure } from '../../shell/failure.tsx';
import { StepUpDialog } from '../../shell/step-up.tsx';
import type { ApiRequest } from '../../shell/wire.ts';
import { accessPhrases } from './access-phrases.ts';

const kindWords = { application: 'a program', agent: 'an agent, which works while you are away' } as const;

function Question({ asked }: { asked: ApiRequest }) {
  return (
    <div className="stack">
      <p>
        <b>{asked.client}</b> is {kindWords[asked.kind]}. It asks to work in your name at <b>{asked.organisation}</b>.
      </p>
      <Facts
        entries={[
          ['It may', `${accessPhrases[asked.access]}, never more than you may yourself`],
          ['It may never', 'Approve anything that asks for a passkey, or change who comes in and how'],
          ['For', `${asked.days} days at most; you can end it at any time under “Your programs”`],
          ['You go on to', asked.leadsTo],
        ]}
      />
    </div>
  );
}

const leave = ({ url }: { url: string }) => window.location.assign(url);

/** A program asks; the person decides, seeing who it is and what it may. */
export function AuthorisePage() {
  const { clientId, request: pushed } = useParams({ from: '/inside/authorise/$clientId/$request' });
  const question = { clientId, request: pushed };
  const asked = useQuery({
    queryKey: ['api-request', clientId, pushed],
    queryFn: ({ signal }) => request<ApiRequest>('/api/authorisation-server/request', { body: question, signal }),
    retry: false,
    // Answered once; asking again would only say that it is over.
    refetchOnWindowFocus: false,
  });
  const [agents, setAgents] = useState<ReadonlySet<string>>(new Set());
  const [isAllowing, setIsAllowing] = useState(false);
  const refuse = useMutation({
    mutationFn: () => request<{ url: string }>('/api/authorisation-server/refuse', { body: question }),
    onSuccess: leave,
  });
  const isOver = refuse.isPending || refuse.isSuccess;
  const input = { ...question, agents: [...agents] };
  return (
    <>
      <PageHead title="A program asks for access" />
      <Failure error={asked.error ?? refuse.error} />
      {asked.data && (
        <div className="form">
          <Question asked={asked.data} />
          {asked.data.agents.length > 0 && (
            <ChecksField
              label="It may hand work to these agents"
              help="Tick only whom you want to act for you too. Every entry about their work names you and them."
              chosen={agents}
              onToggle={(id) => setAgents(toggled(agents, id))}
              choices={asked.data.agents.map(({ clientId, name }) => ({ value: clientId, label: name }))}
            />
          )}
          <Notice kind="stale" title="Did you start this yourself, just now?">
            <p>If not, say no: whoever sent you here would work in your name.</p>
          </Notice>
          <div className="form__actions">
            <Button look="primary" disabled={isOver} onClick={() => setIsAllowing(true)}>
              Allow…
            </Button>
            <Button busy={isOver} onClick={() => refuse.mutate()}>
              Do not allow
            </Button>
          </div>
        </div>
      )}
      {isAllowing && asked.data && (
        <StepUpDialog
          open
          onClose={() => setIsAllowing(false)}
          operation="authorisation-server.allow"
          input={input}
          title={`Allow ${asked.data.client}`}
          confirm="Approve with passkey"
          effects={<p>It works in your name from then on, within these bounds, until you end it.</p>}
          commit={(stepUp) => request<{ url: string }>('/api/authorisation-server/allow', { body: input, stepUp })}
          onDone={leave}
        />
      )}
    </>
  );
}
