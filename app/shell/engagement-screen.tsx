import { EngagementPage } from '../domains/engagements/engagement.page.tsx';
import { EvidenceOfCriterion, EvidenceTab } from '../domains/evidence/evidence.page.tsx';

const evidence = { All: EvidenceTab, OfCriterion: EvidenceOfCriterion };

/** An engagement with its evidence: two rooms that do not know each other are joined here. */
export function EngagementScreen() {
  return <EngagementPage evidence={evidence} />;
}
