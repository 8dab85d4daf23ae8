import { Button } from '../ui/button.tsx';

/** Below a list: how many are shown, and the next page. */
export function More({
  shown,
  what,
  hasMore,
  busy,
  onMore,
}: {
  shown: number;
  what: string;
  hasMore: boolean;
  busy: boolean;
  onMore: () => void;
}) {
  return (
    <div className="row row--between">
      <output className="list__count">
        {shown} {what}
        {hasMore ? ' so far' : ''}
      </output>
      {hasMore && (
        <Button small busy={busy} onClick={onMore}>
          Load more
        </Button>
      )}
    </div>
  );
}
