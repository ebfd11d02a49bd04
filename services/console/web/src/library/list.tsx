import type { Reference } from '../../../src/wire.ts';
import { clock, percent } from '../format.ts';
import { type PagedList, usePagedList, useRefreshed } from '../list.ts';
import { route } from '../router.ts';
import { isHolder, may } from '../session.ts';
import { Icon } from '../ui/icon.tsx';
import { Badge, Empty, Failed, Title } from '../ui/parts.tsx';
import { VirtualList } from '../ui/virtual-list.tsx';
import { referenceState } from '../words.ts';
import { DropZone, Transfers } from './drop-zone.tsx';
import { foundIn, MatchLine, useMatches } from './matches.tsx';

const FILTERS: [string, string][] = [
  ['', 'All'],
  ['live', 'Live'],
  ['received', 'Being read'],
  ['rejected', 'Rejected'],
  ['disabled', 'Disabled'],
];

export function LibraryView() {
  const state = route.value.query.get('state') ?? '';
  const list = useReferences({ state: state || undefined });
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <Title name="Library" />
          <p>
            {isHolder.value ? 'Your references' : 'The references'}: what copies are looked for of. A line shows which
            parts of each are copied most.
          </p>
        </div>
        <nav class="tabs" aria-label="Which references">
          {FILTERS.map(([value, text]) => (
            <a
              key={value}
              href={value ? `/library?state=${value}` : '/library'}
              aria-current={value === state ? 'page' : undefined}
            >
              {text}
            </a>
          ))}
        </nav>
      </header>
      {may('references:write') && <DropZone />}
      <Transfers />
      <Rows list={list} narrowed={state !== ''} />
    </div>
  );
}

/** References, kept up to date as they go live. */
export function useReferences(query: Record<string, string | undefined>): PagedList<Reference> {
  const list = usePagedList<Reference>('/v1/references', query, (r) => `${r.id} ${r.version}`);
  useRefreshed(list, 'reference');
  return list;
}

function Rows({ list, narrowed }: { list: PagedList<Reference>; narrowed: boolean }) {
  const { items, state, problem } = list;
  if (state.value === 'failed' && items.value.length === 0)
    return <Failed what="The library could not be read" problem={problem.value ?? ''} retry={() => void list.next()} />;
  if (state.value === 'ready' && items.value.length === 0) {
    return (
      <section class="panel" aria-label="No references">
        <Empty icon="library" title={narrowed ? 'None of these' : 'Nothing is protected yet'}>
          <p>
            {narrowed
              ? 'There is no reference in this state.'
              : 'Drop a film or a picture above. It is read once, and from then on copies of it are found in every upload, also mirrored, cropped or re-filmed.'}
          </p>
        </Empty>
      </section>
    );
  }
  return (
    <section class="panel" aria-label="References">
      <VirtualList
        list={list}
        label="References, newest first"
        rowHeight={[76, 104]}
        idOf={(r) => `${r.id} ${r.version}`}
        row={(r) => <Row reference={r} />}
      />
    </section>
  );
}

function Row({ reference }: { reference: Reference }) {
  const matches = useMatches(reference.id);
  const state = referenceState(reference.state);
  return (
    <a class="list-row reference-row" href={`/library/${encodeURIComponent(reference.work)}`}>
      <Kind reference={reference} />
      <span class="clip main">
        <strong>{reference.title}</strong>
        <br />
        <span class="quiet small">
          {kindOf(reference)}
          {!isHolder.value && ` · ${reference.holder}`}
        </span>
      </span>
      <span class="line">
        {reference.kind === 'video' && <MatchLine matches={matches} />}
        <span class="quiet small num">{matches ? foundIn(matches) : '\u00a0'}</span>
      </span>
      <span class="state">
        <Badge tone={state.tone} title={reference.reason ?? state.means}>
          {state.text}
          {progressOf(reference)}
        </Badge>
      </span>
    </a>
  );
}

export function Kind({ reference }: { reference: Reference }) {
  return (
    <span class="kind">
      <Icon name={reference.kind === 'image' ? 'picture' : 'library'} size={20} />
    </span>
  );
}

export const kindOf = ({ kind, duration, name }: Reference): string =>
  [kind === 'image' ? 'picture' : kind === 'video' ? `film, ${clock(duration ?? 0, 0)}` : null, name]
    .filter(Boolean)
    .join(' · ') || 'being looked at';

export function progressOf({ state, progress }: Reference): string {
  if (state === 'live' || state === 'disabled' || state === 'rejected' || !progress.slices) return '';
  return ` ${percent(progress.loaded / progress.slices)}`;
}
