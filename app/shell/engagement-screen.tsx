import { EngagementPage } from '../domains/engagements/engagement.page.tsx';
import { EvidenceOfCriterion, EvidenceTab } from '../domains/evidence/evidence.page.tsx';

/** An engagement with its evidence: two rooms that do not know each other are joined here. */
export function EngagementScreen() {
  return (
    <EngagementPage
      evidence={{
        all: (engagement) => <EvidenceTab engagement={engagement} />,
        ofCriterion: (engagement, criterion) => <EvidenceOfCriterion engagement={engagement} criterion={criterion} />,
      }}
    />
  );
}
