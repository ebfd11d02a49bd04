import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Point, Side } from '../../../src/wire.ts';
import { clock } from '../format.ts';
import type { Step } from './step.ts';

export interface Outline {
  corners: readonly Point[];
  /** Whose picture is drawn: its colour. */
  of: 'upload' | 'reference';
}

/**
 * One side: its film, its picture, or the frame that was kept of it when neither can be shown; and over it the outline of the other
 * side's picture.
 */
export function Frame(props: {
  side: 'upload' | 'reference';
  title: string;
  media: Side | null;
  step: Step;
  /** JPEG of the pair nearest to the moment, for what cannot be played. */
  still: { address: string; at: number } | null;
  outline: Outline | null;
  /** Its film cannot be played here. */
  onFailed(): void;
}) {
  const { side, title, media, step, still, outline, onFailed } = props;
  const failed = useSignal(false);
  const fail = () => {
    failed.value = true;
    onFailed();
  };
  const size = useSignal<[number, number] | null>(media?.width && media.height ? [media.width, media.height] : null);
  const film = useRef<HTMLVideoElement>(null);
  const play = failed.value ? null : (media?.play ?? null);
  const isFilm = play !== null && media?.kind === 'video';
  useEffect(() => {
    if (!isFilm) return;
    step.attach(side, film.current);
    return () => step.attach(side, null);
  }, [step, side, isFilm]);

  const moment = useComputed(() => (side === 'upload' ? step.at.value : step.referenceAt(step.at.value)));
  const shown = play === null ? still?.address : null;
  const name = side === 'upload' ? 'Upload' : 'Reference';
  const timed = media?.kind === 'video' || (still?.at ?? 0) > 0;
  const saw = (width: number, height: number) => {
    if (width > 0 && height > 0) size.value = [width, height];
  };
  const [width, height] = size.value ?? [16, 9];
  return (
    <figure class="frame-side">
      <figcaption class="row apart">
        <span class="row clip">
          <span class={`key-${side}`}>{name}</span>
          <span class="quiet clip">{title}</span>
        </span>
        {timed && <span class="num quiet small">{clock(isFilm ? moment.value : (still?.at ?? moment.value))}</span>}
      </figcaption>
      <div class="stage">
        <div class="frame" style={{ '--ratio': `${width / height}` }}>
          {isFilm && (
            <video
              ref={film}
              src={play}
              muted
              playsInline
              preload="auto"
              aria-label={`${name}, ${title}`}
              {...(still ? { poster: still.address } : {})}
              onLoadedMetadata={({ currentTarget: { videoWidth, videoHeight } }) => {
                // It knows the sound and not the picture.
                if (videoWidth === 0) fail();
                saw(videoWidth, videoHeight);
              }}
              onError={fail}
            />
          )}
          {!isFilm && (play || shown) && (
            <img
              src={play ?? shown ?? ''}
              alt={`${name}, ${title}${timed && still ? `, at ${clock(still.at)}` : ''}`}
              onLoad={(e) => saw(e.currentTarget.naturalWidth, e.currentTarget.naturalHeight)}
              onError={() => {
                if (play) fail();
              }}
            />
          )}
          {play === null && !shown && <p class="frame-none quiet small">{nothingToShow(media)}</p>}
          {outline && (play || shown) && <Drawn {...outline} />}
        </div>
      </div>
    </figure>
  );
}

function nothingToShow(media: Side | null): string {
  return media?.kind ? 'The media are not here any more, and no frame was kept.' : 'Nothing is known of these media.';
}

/** What lies outside is drawn along the frame's edge, so that it is seen that there is more. */
const OUTSIDE = 0.02;
const seen = (share: number): number => Math.min(1 + OUTSIDE, Math.max(-OUTSIDE, share));

/** Corners in the order of the picture that they outline; its top edge is drawn thick, so that turned and mirrored can be seen. */
function Drawn({ corners, of }: Outline) {
  const points = corners.map(([x, y]) => `${(seen(x) * 100).toFixed(2)},${(seen(y) * 100).toFixed(2)}`);
  const [a, b] = points;
  return (
    <svg class={`outline of-${of}`} viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
      <polygon class="halo" points={points.join(' ')} />
      <polygon points={points.join(' ')} />
      {a && b && <polyline class="top" points={`${a} ${b}`} />}
    </svg>
  );
}
