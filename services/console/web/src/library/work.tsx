import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Reference, Work } from '../../../src/wire.ts';
import { get, post, sayError } from '../api.ts';
import { clock, fullDay, plural } from '../format.ts';
import { isHolder, may } from '../session.ts';
import { Back, Badge, Empty, Failed, Title, When } from '../ui/parts.tsx';
import { toast } from '../ui/toast.tsx';
import { referenceState } from '../words.ts';
import { DropZone, Transfers } from './drop-zone.tsx';
import { Kind, kindOf, progressOf, useReferences } from './list.tsx';
import { foundIn, MatchLine, useMatches } from './matches.tsx';

export function WorkPage({ id }: { id: string }) {
  const work = useSignal<Work | null>(null);
  const problem = useSignal<string | null>(null);
  const references = useReferences({ work: id });
  useEffect(() => {
    work.value = null;
    get<Work>(`/v1/works/${encodeURIComponent(id)}`).then(
      (found) => {
        work.value = found;
      },
      (error: unknown) => {
        problem.value = sayError(error);
      },
    );
  }, [id]);
  const shown = work.value;
  const details = Object.entries(shown?.details ?? {});
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <Back to="/library">Library</Back>
          <Title name={shown?.title ?? 'Work'} />
          {shown && (
            <p class="small">
              {!isHolder.value && <>Held by {shown.holder} · </>}registered {fullDay(shown.createdAt)}
              {details.map(([name, value]) => ` · ${name} ${value}`)}
            </p>
          )}
        </div>
        <a class="button" href={`/cases?work=${encodeURIComponent(id)}`}>
          Cases of this work
        </a>
      </header>
      {problem.value && (
        <p class="wrong" role="alert">
          {problem.value}
        </p>
      )}
      {references.items.value.map((r) => (
        <ReferencePanel key={`${r.id} ${r.version}`} reference={r} onChange={() => void references.refresh()} />
      ))}
      {references.more.value && references.state.value === 'ready' && (
        <button type="button" class="button" onClick={() => void references.next()}>
          Show more
        </button>
      )}
      {references.state.value === 'failed' && (
        <Failed
          what="Its references could not be read"
          problem={references.problem.value ?? ''}
          retry={() => void references.next()}
        />
      )}
      {references.state.value === 'ready' && references.items.value.length === 0 && (
        <section class="panel" aria-label="No references">
          <Empty icon="library" title="This work protects nothing yet">
            <p>It needs a reference: the film or the picture itself.</p>
          </Empty>
        </section>
      )}
      <Transfers />
      {may('references:write') && shown && <DropZone work={id} title={shown.title} />}
    </div>
  );
}

const LIFE = [
  ['received', 'Received'],
  ['fingerprinted', 'Fingerprinted'],
  ['checked', 'Checked'],
  ['live', 'Live'],
] as const;

function ReferencePanel({ reference, onChange }: { reference: Reference; onChange(): void }) {
  const matches = useMatches(reference.id);
  const state = referenceState(reference.state);
  const asking = useSignal(false);
  const film = (reference.duration ?? 0) > 0;

  async function disable(): Promise<void> {
    asking.value = false;
    try {
      await post(`/v1/references/${encodeURIComponent(reference.id)}/disable`, { reason: 'disabled on the page' });
      toast(`${reference.name ?? reference.title} protects nothing any more.`);
      onChange();
    } catch (error) {
      toast(`Not disabled: ${sayError(error)}`);
    }
  }

  return (
    <section class="panel" aria-label={`Reference ${reference.name ?? reference.id}`}>
      <div class="panel-body reference">
        <Kind reference={reference} />
        <div class="stack tight">
          <div class="row apart">
            <h2 class="clip">{reference.name ?? reference.title}</h2>
            <Badge tone={state.tone}>
              {state.text}
              {progressOf(reference)}
            </Badge>
          </div>
          <p class="small quiet">
            {kindOf({ ...reference, name: null })} · version {reference.version} · {reference.reason ?? state.means}
          </p>
          <ol class="life small">
            {LIFE.map(([step, text]) => {
              const at = reference.life[step];
              return (
                <li key={step} class={at === null ? 'ahead' : ''}>
                  <span>{text}</span>
                  {at !== null && (
                    <span class="quiet">
                      <When at={at} />
                    </span>
                  )}
                </li>
              );
            })}
          </ol>
        </div>
        {film && (
          <figure class="whole-line">
            <figcaption class="row apart small">
              <span>How often each part was matched</span>
              <span class="quiet num">{matches && foundIn(matches)}</span>
            </figcaption>
            <MatchLine matches={matches} tall />
            <div class="row apart small quiet num" aria-hidden="true">
              <span>0:00</span>
              <span>{clock((reference.duration ?? 0) / 2, 0)}</span>
              <span>{clock(reference.duration ?? 0, 0)}</span>
            </div>
          </figure>
        )}
        {!film && matches && (
          <p class="small quiet">
            {matches.uploads > 0 ? `Matched in ${plural(matches.uploads, 'upload')}.` : 'Not matched yet.'}
          </p>
        )}
        {reference.findings.length > 0 && (
          <ul class="findings small">
            {reference.findings.map((f) => (
              <li key={f.detail}>{f.detail}</li>
            ))}
          </ul>
        )}
        {may('references:write') && reference.state === 'live' && (
          <div class="row end-of-panel">
            {asking.value ? (
              <>
                <span class="small">
                  Copies of it are not looked for any more, and its open claims end. Disable it?
                </span>
                <button type="button" class="button danger" onClick={() => void disable()}>
                  Yes, disable
                </button>
                <button type="button" class="button ghost" onClick={() => (asking.value = false)}>
                  Not now
                </button>
              </>
            ) : (
              <button type="button" class="button ghost" onClick={() => (asking.value = true)}>
                Disable this reference
              </button>
            )}
          </div>
        )}
      </div>
    </section>
  );
}
