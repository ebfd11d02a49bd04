import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { ReviewItem, Side } from '../../../src/wire.ts';
import { clock } from '../format.ts';
import { Icon } from '../ui/icon.tsx';
import { useKeys } from '../ui/keys.ts';
import { Frame } from './frame.tsx';
import { createStep } from './step.ts';
import { TimeLines } from './time-lines.tsx';
import { Found, Why } from './why.tsx';

const SMALL_STEP = 0.2;
const LARGE_STEP = 2;

/** A match in pictures: both sides in step with what was found drawn over them, the time lines, and why. */
export function EvidenceView({ item, keys = true }: { item: ReviewItem; keys?: boolean }) {
  const { evidence, geometry, pictures, uploadMedia, referenceMedia } = item;
  const segments = evidence?.segments ?? [];
  const length = uploadMedia.duration ?? 0;
  // Another item is another step; the same one may come anew.
  const step = useMemo(() => createStep(segments, length), [item.item]);
  useEffect(() => () => step.pause(), [step]);
  const drawn = useSignal(true);
  const toStills = () => {
    step.pause();
    stills.value = true;
  };
  /** One film that cannot be played: then both sides are shown by the frames that were kept, so that they stay in step. */
  const stills = useSignal(false);
  const shownOf = <S extends Side | null>(side: S): S =>
    side?.kind === 'video' && stills.value && pictures.length > 0 ? { ...side, play: null } : side;
  const films = uploadMedia.kind === 'video' && shownOf(uploadMedia).play !== null;
  const pair = nearestPair(pictures, step.at.value);
  const inOrder = [...pictures].sort((a, b) => a.uploadTime - b.uploadTime);
  const other = (by: 1 | -1) => {
    const now = pair ? inOrder.indexOf(pair) : -1;
    const next = inOrder[now + by];
    if (next) step.seek(next.uploadTime);
  };
  const move = (by: number) => step.seek(step.at.peek() + by);
  useKeys(() =>
    keys
      ? {
          ' ': () => step.toggle(),
          ArrowLeft: (e) => move(e.shiftKey ? -LARGE_STEP : -SMALL_STEP),
          ArrowRight: (e) => move(e.shiftKey ? LARGE_STEP : SMALL_STEP),
          '[': () => other(-1),
          ']': () => other(1),
          o: () => {
            drawn.value = !drawn.value;
          },
        }
      : {},
  );
  const outlines = drawn.value && geometry ? geometry : null;
  return (
    <div class="evidence">
      <section class="panel evidence-media" aria-label="Upload and reference">
        <div class="pair">
          <Frame
            side="upload"
            title={item.account ? `by ${item.account}` : item.upload}
            media={shownOf(uploadMedia)}
            step={step}
            still={pair && { address: pair.upload, at: pair.uploadTime }}
            outline={outlines && { corners: outlines.inUpload, of: 'reference' }}
            onFailed={toStills}
          />
          <Frame
            side="reference"
            title={item.reference?.name ?? item.work.title}
            media={shownOf(referenceMedia)}
            step={step}
            still={pair && { address: pair.reference, at: pair.referenceTime }}
            outline={outlines && { corners: outlines.inReference, of: 'upload' }}
            onFailed={toStills}
          />
        </div>
        <div class="controls row apart">
          <div class="row">
            {films && (
              <button
                type="button"
                class="button"
                aria-label={step.playing.value ? 'Pause' : 'Play both'}
                onClick={() => step.toggle()}
              >
                <Icon name={step.playing.value ? 'pause' : 'play'} size={16} />
                <span class="label-wide">{step.playing.value ? 'Pause' : 'Play both'}</span>
              </button>
            )}
            {inOrder.length > 1 && (
              <fieldset class="moments row">
                <legend class="sr-only">Moments that were kept</legend>
                {inOrder.map((p) => (
                  <button
                    key={p.picture}
                    type="button"
                    class="moment"
                    aria-pressed={p === pair}
                    onClick={() => step.seek(p.uploadTime)}
                  >
                    <img src={p.upload} alt="" loading="lazy" />
                    <span class="num">{clock(p.uploadTime)}</span>
                  </button>
                ))}
              </fieldset>
            )}
          </div>
          {geometry && (
            <button
              type="button"
              class="button ghost"
              aria-label="Outlines"
              title="Outlines (O)"
              aria-pressed={drawn.value}
              onClick={() => {
                drawn.value = !drawn.value;
              }}
            >
              <Icon name="outline" size={17} />
              <span class="label-wide">Outlines</span>
            </button>
          )}
        </div>
        {evidence && segments.length > 0 && (uploadMedia.kind === 'video' || (referenceMedia?.duration ?? 0) > 0) && (
          <TimeLines
            evidence={evidence}
            hits={item.hits}
            lengths={{ upload: length, reference: referenceMedia?.duration ?? 0 }}
            step={step}
            title={item.work.title}
          />
        )}
      </section>
      <div class="stack evidence-why">
        <section class="panel" aria-labelledby={`found-${item.item}`}>
          <div class="panel-head">
            <h2 id={`found-${item.item}`}>What was found</h2>
          </div>
          <div class="panel-body">
            {evidence ? (
              <Found item={item} />
            ) : (
              <p class="quiet small">Nothing was compared: this claim rests on a notice.</p>
            )}
          </div>
        </section>
        <section class="panel" aria-labelledby={`why-${item.item}`}>
          <div class="panel-head">
            <h2 id={`why-${item.item}`}>Why it is here</h2>
          </div>
          <div class="panel-body stack tight">
            <Why item={item} />
          </div>
        </section>
      </div>
    </div>
  );
}

function nearestPair(pictures: ReviewItem['pictures'], at: number): ReviewItem['pictures'][number] | null {
  return pictures.reduce<ReviewItem['pictures'][number] | null>(
    (best, p) => (best && Math.abs(best.uploadTime - at) <= Math.abs(p.uploadTime - at) ? best : p),
    null,
  );
}
