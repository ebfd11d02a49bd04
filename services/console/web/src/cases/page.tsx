import { useSignal } from '@preact/signals';
import { useCallback, useEffect, useMemo } from 'preact/hooks';
import type { Action, Case, Claim, ReviewItem, Said, Upload } from '../../../src/wire.ts';
import { get, sayError } from '../api.ts';
import { fullTime, plural } from '../format.ts';
import { onLive } from '../live.ts';
import { EvidenceView } from '../review/evidence.tsx';
import { announce } from '../ui/announce.tsx';
import { Back, Badge, Failed, Title, When } from '../ui/parts.tsx';
import { caseState, claimState, DISPUTE_GROUND, GROUND, territories } from '../words.ts';
import { History } from './history.tsx';
import { CLAIMS, createChain, readEarlier } from './reading.ts';
import { Steps, turnOf } from './steps.tsx';

export function CasePage({ id }: { id: string }) {
  const found = useSignal<Case | null>(null);
  const earlier = useSignal<{ claims: Claim[]; more: boolean }>({ claims: [], more: false });
  /** Earlier claims that somebody asked for. */
  const wanted = useSignal(0);
  const problem = useSignal<string | null>(null);
  const at = `/v1/cases/${encodeURIComponent(id)}`;
  const chain = useMemo(() => createChain(at), [at]);

  const read = useCallback(async () => {
    try {
      const [now] = await Promise.all([get<Case>(at), chain.refresh()]);
      earlier.value = await readEarlier(now, wanted.peek());
      const before = found.peek()?.state;
      if (before && before !== now.state) announce(`The case is now ${caseState(now.state).text.toLowerCase()}.`);
      found.value = now;
      problem.value = null;
    } catch (error) {
      problem.value = sayError(error);
    }
  }, [at, chain]);
  useEffect(() => {
    found.value = null;
    wanted.value = 0;
    void read();
    return onLive((event) => {
      if (event.type === 'reset' || (event.type === 'case' && event.case === id)) void read();
    });
  }, [read, id]);

  const now = found.value;
  if (!now) {
    return (
      <div class="page">
        <Title name="Case" />
        {problem.value ? (
          <Failed what="The case could not be read" problem={problem.value} retry={() => void read()} />
        ) : (
          <div class="skeleton tall" aria-hidden="true" />
        )}
      </div>
    );
  }
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <Back to="/cases">Cases</Back>
          <Title name={`Case: ${now.title}`}>
            {now.title} <span class="quiet light">and {now.account ?? 'an unknown account'}</span>
          </Title>
          <p class="small">
            Held by {now.holder} · opened <When at={now.openedAt} /> · {plural(now.claimCount, 'claim')} ·{' '}
            <span class="mono">{now.id}</span>
          </p>
        </div>
        <Badge tone={caseState(now.state).tone}>{caseState(now.state).text}</Badge>
      </header>
      <div class="case">
        <div class="stack">
          {earlier.value.more && (
            <More
              text={`${plural(now.claimCount - now.claims.length - earlier.value.claims.length, 'earlier claim')} not shown`}
              button="Show earlier claims"
              read={async () => {
                const further = wanted.peek() + CLAIMS;
                earlier.value = await readEarlier(now, further);
                wanted.value = further;
              }}
            />
          )}
          {[...earlier.value.claims, ...now.claims].map((claim) => (
            <ClaimPanel
              key={claim.id}
              claim={claim}
              first={claim.id === now.claims[0]?.id}
              onChange={(changed) => {
                found.value = changed;
                void read();
              }}
            />
          ))}
        </div>
        <aside class="panel" aria-labelledby="history-title">
          <div class="panel-head">
            <h2 id="history-title">History</h2>
            <span class="quiet small num">
              {chain.more.value && 'first '}
              {plural(chain.items.value.length, 'step')}
            </span>
          </div>
          <div class="panel-body">
            <History events={chain.items.value} />
            {chain.more.value && (
              <More text="Later steps are not shown" button="Show later steps" read={() => chain.next()} />
            )}
            <p class="hint history-foot">
              Each step carries the digest of the one before: none can be changed or left out later.
            </p>
          </div>
        </aside>
      </div>
    </div>
  );
}

/** That there is more than is shown, and the way to it. */
function More({ text, button, read }: { text: string; button: string; read(): Promise<void> }) {
  const busy = useSignal(false);
  const problem = useSignal<string | null>(null);
  async function go(): Promise<void> {
    busy.value = true;
    problem.value = await read().then(() => null, sayError);
    busy.value = false;
  }
  return (
    <div class="row small">
      <span class="quiet">{text}.</span>
      <button type="button" class="button" disabled={busy.value} onClick={() => void go()}>
        {button}
      </button>
      {problem.value && (
        <span class="wrong" role="alert">
          {problem.value}
        </span>
      )}
    </div>
  );
}

function ClaimPanel({ claim, first, onChange }: { claim: Claim; first: boolean; onChange(now: Case): void }) {
  const shown = useSignal(first);
  const state = claimState(claim.state);
  const turn = turnOf(claim);
  return (
    // With its upload: many claims of a case are in the same state.
    <section class="panel" aria-labelledby={`claim-${claim.id} upload-${claim.id}`}>
      <div class="panel-head">
        <h2 id={`claim-${claim.id}`} class="row">
          <Badge tone={state.tone}>{state.text}</Badge>
          <span class="small quiet light">{state.means}</span>
        </h2>
        <MediaState claim={claim} />
      </div>
      <div class="panel-body stack">
        <dl class="facts">
          <dt>Upload</dt>
          <dd class="mono" id={`upload-${claim.id}`}>
            {claim.upload}
          </dd>
          <dt>Rests on</dt>
          <dd>
            {GROUND[claim.ground] ?? claim.ground}, {territories(claim.territories)}
          </dd>
          {claim.takenDownAt !== null && (
            <>
              <dt>Taken down</dt>
              <dd class="num">{fullTime(claim.takenDownAt)}</dd>
            </>
          )}
          {claim.ended && (
            <>
              <dt>Ended</dt>
              <dd class="num">
                {fullTime(claim.ended.at)} <span class="quiet">({claim.ended.why})</span>
              </dd>
            </>
          )}
        </dl>
        {claim.dispute && <Spoken title="Dispute" said={claim.dispute} />}
        {claim.appeal && <Spoken title="Appeal" said={claim.appeal} />}
        {turn && <p class="turn small">{turn}</p>}
        <Steps claim={claim} onChange={onChange} />
        {claim.statement && (
          <details>
            <summary class="small">What the uploader was told</summary>
            <dl class="facts spaced">
              <dt>Facts</dt>
              <dd>{claim.statement.facts}</dd>
              <dt>Ground</dt>
              <dd>{claim.statement.groundText}</dd>
              <dt>Decided</dt>
              <dd>{claim.statement.automatedDecision ? 'by a program alone' : 'by a person'}</dd>
              <dt>What to do</dt>
              <dd>
                <ul>
                  {claim.statement.redress.map((r) => (
                    <li key={r.way}>
                      {r.way} <span class="quiet">({r.law})</span>
                    </li>
                  ))}
                </ul>
              </dd>
            </dl>
          </details>
        )}
        <details
          open={shown.value}
          onToggle={(event) => {
            shown.value = event.currentTarget.open;
          }}
        >
          <summary class="small">The match in pictures, and why</summary>
          {shown.value && <Shown claim={claim.id} state={claim.state} />}
        </details>
      </div>
    </section>
  );
}

function Spoken({ title, said }: { title: string; said: Said }) {
  return (
    <blockquote class="spoken">
      <p class="small">
        <strong>{title}</strong>{' '}
        <span class="quiet">
          · <When at={said.at} />
        </span>
      </p>
      <p>{said.grounds.map((g) => DISPUTE_GROUND[g] ?? g).join('; ')}.</p>
      {said.statement && <p class="quiet">“{said.statement}”</p>}
      {said.erasedAt !== null && (
        <p class="hint">
          What was written was erased <When at={said.erasedAt} />.
        </p>
      )}
    </blockquote>
  );
}

/** Whether people can see the upload now, and what the platform said of it. */
function MediaState({ claim }: { claim: Claim }) {
  const upload = useSignal<Upload | null>(null);
  const actions = useSignal<Action[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    const at = `/v1/uploads/${encodeURIComponent(claim.upload)}`;
    Promise.all([get<Upload>(at, stop.signal), get<{ items: Action[] }>(`${at}/actions`, stop.signal)]).then(
      ([found, { items }]) => {
        upload.value = found;
        actions.value = items;
      },
      () => undefined,
    );
    return () => stop.abort();
  }, [claim.upload, claim.state, claim.changedAt]);
  if (!upload.value) return null;
  const disabled = upload.value.mediaState === 'disabled';
  const last = actions.value.at(-1);
  const done = last?.acknowledgements.filter((a) => a.status === 'done').length ?? 0;
  return (
    <span class="row small">
      <span class={`dot ${disabled ? 'bad' : 'good'}`} />
      {disabled ? 'Media disabled' : 'Media shown'}
      {last && <span class="quiet">{done > 0 ? `confirmed by ${plural(done, 'surface')}` : 'told the platform'}</span>}
    </span>
  );
}

function Shown({ claim, state }: { claim: string; state: string }) {
  const item = useSignal<ReviewItem | null>(null);
  const problem = useSignal<string | null>(null);
  const read = useCallback(() => {
    get<ReviewItem>(`/v1/claims/${encodeURIComponent(claim)}/review`).then(
      (found) => {
        item.value = found;
        problem.value = null;
      },
      (error: unknown) => {
        problem.value = sayError(error);
      },
    );
  }, [claim]);
  useEffect(read, [read, state]);
  // Frames are kept some moments after a claim was opened.
  useEffect(() => {
    if (!item.value || item.value.pictures.length > 0 || !item.value.evidence) return;
    const timer = setTimeout(read, 1500);
    return () => clearTimeout(timer);
  }, [item.value]);
  if (problem.value) return <Failed what="It cannot be shown" problem={problem.value} retry={read} />;
  if (!item.value) return <div class="skeleton tall spaced" aria-hidden="true" />;
  return (
    <div class="spaced">
      <EvidenceView item={item.value} keys={false} />
    </div>
  );
}
