import { useEffect } from 'preact/hooks';
import type { ReviewItem } from '../../../src/wire.ts';
import { count, duration, plural } from '../format.ts';
import { path } from '../router.ts';
import { announce } from '../ui/announce.tsx';
import { Icon } from '../ui/icon.tsx';
import { useKeys } from '../ui/keys.ts';
import { Badge, Empty, Failed, Title, When } from '../ui/parts.tsx';
import { claimState, GROUND, SKIP, territories } from '../words.ts';
import { DecideBar } from './decide-bar.tsx';
import { EvidenceView } from './evidence.tsx';
import { decided, fill, hand, handProblem, handState, openHand, undo, undoable, waiting } from './hand.ts';
import { Queue } from './queue.tsx';

export function ReviewView() {
  const queue = path.value === '/review/queue';
  return (
    <div class="page review">
      <header class="page-head">
        <div>
          <Title name="Review" />
          <nav class="tabs" aria-label="Review">
            <a href="/review" aria-current={queue ? undefined : 'page'}>
              Decide
            </a>
            <a href="/review/queue" aria-current={queue ? 'page' : undefined}>
              Whole queue
            </a>
          </nav>
        </div>
        {!queue && <Tally />}
      </header>
      {queue ? <Queue /> : <Deciding />}
    </div>
  );
}

function Deciding() {
  useEffect(openHand, []);
  const [item, next] = hand.value;
  const id = item?.item;
  useEffect(() => {
    if (item)
      announce(
        `${item.work.title}, ${item.altered ?? 'by notice'}. ${plural(hand.value.length + (waiting.value ?? 0), 'item')} to decide.`,
      );
  }, [id]);
  if (handState.value === 'failed')
    return <Failed what="The queue could not be opened" problem={handProblem.value ?? ''} retry={() => void fill()} />;
  if (!item) return handState.value === 'ready' ? <NothingWaits /> : <Loading />;
  return (
    <>
      {handProblem.value && (
        <p class="wrong" role="alert">
          {handProblem.value}
        </p>
      )}
      <About item={item} />
      <EvidenceView key={item.item} item={item} />
      <Preload item={next} />
      <DecideBar key={item.item} item={item} />
    </>
  );
}

function About({ item }: { item: ReviewItem }) {
  return (
    <section class="about" aria-label="The item">
      <div>
        <h2>
          {item.work.title}
          <span class="quiet"> held by {item.work.holder}</span>
        </h2>
        <p class="quiet small">
          {item.altered ?? 'by notice'} · uploaded by {item.account ?? 'somebody unknown'} · found{' '}
          <When at={item.openedAt} /> · by {GROUND[item.ground] ?? item.ground}, {territories(item.territories)} ·{' '}
          <a href={`/cases/${encodeURIComponent(item.case)}`}>its case</a>
        </p>
        {(item.others.length > 0 || item.skips.length > 0 || item.order.accounts > 1) && (
          <div class="row about-more">
            {item.others.map((o) => (
              <a key={o.claim} href={`/cases/${encodeURIComponent(o.case)}`}>
                <Badge tone={claimState(o.state).tone}>
                  also {o.title}: {claimState(o.state).text.toLowerCase()}
                </Badge>
              </a>
            ))}
            {item.order.accounts > 1 && <Badge>{plural(item.order.accounts, 'account')} showed it this week</Badge>}
            {item.skips.map((s) => (
              <Badge key={s.at}>skipped: {SKIP[s.reason].toLowerCase()}</Badge>
            ))}
          </div>
        )}
      </div>
    </section>
  );
}

function Tally() {
  const [item] = hand.value;
  const left = hand.value.length + (waiting.value ?? 0);
  return (
    <dl class="tally num small">
      <div>
        <dt>to decide</dt>
        <dd>{count(left)}</dd>
      </div>
      <div>
        <dt>decided by you</dt>
        <dd>{count(decided.value)}</dd>
      </div>
      {item && (
        <div>
          <dt>this one waited</dt>
          <dd>{duration(item.order.waitingMs)}</dd>
        </div>
      )}
    </dl>
  );
}

function NothingWaits() {
  useKeys(() => ({ u: () => void undo() }));
  return (
    <section class="panel" aria-label="Nothing waits">
      <Empty icon="check" title="Nothing waits for you">
        <p>
          What is manifest is taken down by itself; what is not sure comes here by itself, the most urgent first. You
          can leave this page open.
        </p>
        {undoable.value.length > 0 && (
          <button type="button" class="button" onClick={() => void undo()}>
            <Icon name="undo" size={16} /> Undo the last decision <kbd>U</kbd>
          </button>
        )}
      </Empty>
    </section>
  );
}

function Loading() {
  return (
    <div class="evidence" aria-hidden="true">
      <div class="skeleton tall" />
      <div class="skeleton tall" />
    </div>
  );
}

/** The next item's frames are there before it is. */
function Preload({ item }: { item: ReviewItem | undefined }) {
  if (!item) return null;
  return (
    <div hidden>
      {item.pictures
        .slice(0, 1)
        .flatMap((p) => [
          <img key={p.upload} src={p.upload} alt="" />,
          <img key={p.reference} src={p.reference} alt="" />,
        ])}
    </div>
  );
}
