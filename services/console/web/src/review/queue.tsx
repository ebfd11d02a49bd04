import type { ReviewSummary } from '../../../src/wire.ts';
import { count, percent, plural } from '../format.ts';
import { usePagedList, useRefreshed } from '../list.ts';
import { Badge, Empty, Failed, When } from '../ui/parts.tsx';
import { VirtualList } from '../ui/virtual-list.tsx';

/** All that waits, in the order in which it is handed out, and who holds what. */
export function Queue() {
  const list = usePagedList<ReviewSummary>('/v1/reviews', {}, (r) => r.item);
  useRefreshed(list, 'queue');
  const { items, state, problem } = list;
  if (state.value === 'failed' && items.value.length === 0)
    return <Failed what="The queue could not be read" problem={problem.value ?? ''} retry={() => void list.next()} />;
  if (state.value === 'ready' && items.value.length === 0) {
    return (
      <Empty icon="check" title="Nothing waits">
        <p>What Vigil is not sure of comes here by itself, the most urgent first.</p>
      </Empty>
    );
  }
  return (
    <section class="panel" aria-labelledby="queue-title">
      <div class="panel-head">
        <h2 id="queue-title">In this order</h2>
        <span class="quiet small">
          {count(items.value.length)}
          {list.more.value ? ' and more' : ` ${plural(items.value.length, 'item').replace(/^\S+ /, '')}`}
        </span>
      </div>
      <VirtualList
        list={list}
        label="Items that wait for a person"
        rowHeight={[56, 72]}
        idOf={(r) => r.item}
        row={(r) => (
          <a class="list-row queue-cols" href={`/cases/${encodeURIComponent(r.case)}`}>
            <span class="clip main">
              <strong>{r.title}</strong>
              <span class="quiet"> {r.account ? `by ${r.account}` : ''}</span>
            </span>
            <span class="num quiet small">{r.confidence === null ? 'by notice' : `${percent(r.confidence)} sure`}</span>
            <span class="small quiet">
              <When at={r.openedAt} />
            </span>
            {r.heldUntil !== null ? (
              <Badge tone={r.mine ? 'accent' : ''}>{r.mine ? 'yours' : 'held'}</Badge>
            ) : (
              <Badge>free</Badge>
            )}
          </a>
        )}
      />
    </section>
  );
}
