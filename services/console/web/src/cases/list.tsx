import type { CaseState, CaseSummary } from '../../../src/wire.ts';
import { tick } from '../clock.ts';
import { plural, relative } from '../format.ts';
import { usePagedList, useRefreshed } from '../list.ts';
import { route } from '../router.ts';
import { isHolder } from '../session.ts';
import { Badge, Empty, Failed, Title, When } from '../ui/parts.tsx';
import { VirtualList } from '../ui/virtual-list.tsx';
import { caseState } from '../words.ts';

const FILTERS: [CaseState | '', string][] = [
  ['', 'All'],
  ['contested', 'Contested'],
  ['open', 'In review'],
  ['taken-down', 'Taken down'],
  ['closed', 'Closed'],
];

export function CasesView() {
  const asked = route.value.query;
  const state = (asked.get('state') ?? '') as CaseState | '';
  const query = {
    state: state || undefined,
    work: asked.get('work') ?? undefined,
    account: asked.get('account') ?? undefined,
  };
  const list = usePagedList<CaseSummary>('/v1/cases', query, (c) => c.id);
  useRefreshed(list, 'case');
  const link = (to: CaseState | '') => {
    const next = new URLSearchParams(asked);
    if (to) next.set('state', to);
    else next.delete('state');
    return next.size > 0 ? `/cases?${next}` : '/cases';
  };
  const narrowed = query.account ?? query.work;
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <Title name="Cases" />
          <p>
            {isHolder.value
              ? 'Copies of your works, by who uploaded them. A contested case waits for your answer; silence gives the media back.'
              : 'Copies of one work by one account, and everything that followed: takedowns, disputes, answers.'}
          </p>
        </div>
        <nav class="tabs" aria-label="Which cases">
          {FILTERS.map(([value, text]) => (
            <a key={value} href={link(value)} aria-current={value === state ? 'page' : undefined}>
              {text}
            </a>
          ))}
        </nav>
      </header>
      {narrowed && (
        <p class="row small">
          <span class="quiet">{query.account ? `Only of ${query.account}.` : 'Only of one work.'}</span>
          <a href="/cases">Show all</a>
        </p>
      )}
      <Rows list={list} state={state} />
    </div>
  );
}

function Rows({ list, state }: { list: ReturnType<typeof usePagedList<CaseSummary>>; state: CaseState | '' }) {
  const { items, problem } = list;
  if (list.state.value === 'failed' && items.value.length === 0)
    return <Failed what="The cases could not be read" problem={problem.value ?? ''} retry={() => void list.next()} />;
  if (list.state.value === 'ready' && items.value.length === 0) {
    return (
      <section class="panel" aria-label="No cases">
        <Empty icon="cases" title={state ? `No case is ${caseState(state).text.toLowerCase()}` : 'No cases yet'}>
          <p>
            {state
              ? 'Cases come here by themselves as soon as there is one.'
              : 'A case begins when an upload shows a protected work. It appears here by itself, within seconds.'}
          </p>
        </Empty>
      </section>
    );
  }
  return (
    <section class="panel" aria-label="Cases">
      <div class="list-head cases-cols small" aria-hidden="true">
        <span>Work</span>
        <span>Uploaded by</span>
        <span>Claims</span>
        <span>Last step</span>
        <span>State</span>
      </div>
      <VirtualList
        list={list}
        label="Cases, newest first"
        rowHeight={[56, 76]}
        idOf={(c) => c.id}
        row={(c) => (
          <a class="list-row cases-cols" href={`/cases/${encodeURIComponent(c.id)}`}>
            <span class="clip main">
              <strong>{c.title}</strong>
              {!isHolder.value && <span class="quiet"> {c.holder}</span>}
            </span>
            <span class="clip quiet">{c.account ?? 'unknown'}</span>
            <span class="num quiet small">{plural(c.claims, 'claim')}</span>
            <span class="small quiet">
              <When at={c.changedAt} />
            </span>
            <span class="row end">
              {c.answerBy !== null && (
                <span class="small wait-ink num nowrap">answer {relative(c.answerBy, tick.value)}</span>
              )}
              <Badge tone={caseState(c.state).tone}>{caseState(c.state).text}</Badge>
            </span>
          </a>
        )}
      />
    </section>
  );
}
