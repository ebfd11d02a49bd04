import type { Evidence, ReviewItem } from '../../../src/wire.ts';
import { clock } from '../format.ts';
import type { Step } from './step.ts';

const WIDTH = 1000;
const TRACK = 14;
const GAP = 34;
/** Bits of 256 by which two frames may differ and still count as the same. */
const RADIUS = 31;
const PLOT_TOP = 32;

/**
 * Both time lines, what was found in both, and how near to each other the frames are along it. The upload's is the upper one; all
 * that is drawn is also said in words below.
 */
export function TimeLines({
  evidence,
  hits,
  lengths,
  step,
  title,
}: {
  evidence: Evidence;
  hits: ReviewItem['hits'];
  /** Seconds; 0 of a picture. */
  lengths: { upload: number; reference: number };
  step: Step;
  title: string;
}) {
  const { segments } = evidence;
  const upload = Math.max(lengths.upload, ...segments.map((s) => s.upload[1]));
  const reference = Math.max(lengths.reference, ...segments.map((s) => s.reference[1]));
  const x = (seconds: number, length: number) => (length > 0 ? (seconds / length) * WIDTH : 0);
  const film = upload > 0;
  const lower = TRACK + GAP;
  return (
    <div class="time-lines">
      <div class="lines-with-seek">
        <div class="lines" aria-hidden="true">
          {film && <span class="line-label key-upload">Upload</span>}
          <svg viewBox={`0 0 ${WIDTH} ${lower + TRACK}`} preserveAspectRatio="none" aria-hidden="true">
            <rect class="track" width={WIDTH} height={TRACK} rx="3" />
            <rect class="track" y={lower} width={WIDTH} height={TRACK} rx="3" />
            {segments.map((s) => {
              const [a, b] = film ? span(x(s.upload[0], upload), x(s.upload[1], upload)) : [0, WIDTH];
              const [c, d] = span(x(s.reference[0], reference), x(s.reference[1], reference));
              return (
                <g key={`${s.upload[0]} ${s.reference[0]}`}>
                  <polygon class="ribbon" points={`${a},${TRACK} ${b},${TRACK} ${d},${lower} ${c},${lower}`} />
                  <rect class="part upload" x={a} width={b - a} height={TRACK} />
                  <rect class="part reference" x={c} y={lower} width={d - c} height={TRACK} />
                </g>
              );
            })}
          </svg>
          {reference > 0 && <span class="line-label key-reference">Reference</span>}
          {film && <Playhead at={() => step.at.value / upload} className="upper" />}
          {reference > 0 && film && (
            <Playhead at={() => step.referenceAt(step.at.value) / reference} className="lower" />
          )}
        </div>
        {film && (
          <input
            class="seek"
            type="range"
            min="0"
            max={upload.toFixed(2)}
            step="0.1"
            value={step.at.value}
            aria-label={`Moment of the upload shown, of ${title}`}
            aria-valuetext={`${clock(step.at.value)} of ${clock(upload)}`}
            onInput={(event) => step.seek(Number(event.currentTarget.value))}
          />
        )}
      </div>
      {film && <Distances hits={hits} evidence={evidence} length={upload} />}
      <ul class="segments small">
        {segments.map((s) => (
          <li key={`${s.upload[0]} ${s.reference[0]}`}>
            {film ? (
              <button type="button" class="link num" onClick={() => step.seek((s.upload[0] + s.upload[1]) / 2)}>
                {clock(s.upload[0])} – {clock(s.upload[1])}
              </button>
            ) : (
              <span>The picture</span>
            )}
            <span class="quiet">
              {reference > 0 ? (
                <>
                  {' '}
                  is{' '}
                  <span class="num ink">
                    {clock(s.reference[0])}
                    {s.reference[1] > s.reference[0] ? ` – ${clock(s.reference[1])}` : ''}
                  </span>{' '}
                  of the reference
                  {s.timed ? '' : ' (or elsewhere: the picture stands still)'}
                </>
              ) : (
                ' is the reference'
              )}
              ; <span class="num">{s.frames.matched}</span> of <span class="num">{s.frames.eligible}</span> frames
              agree, <span class="num">{Math.round(s.distance.mean)}</span> bits apart on average
              {s.inliers === undefined ? '' : `, in ${s.inliers} places of the picture`}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Never so narrow that it cannot be seen. */
function span(from: number, to: number): [number, number] {
  const least = 4;
  return to - from >= least ? [from, to] : [Math.min(from, WIDTH - least), Math.min(from, WIDTH - least) + least];
}

function Playhead({ at, className }: { at(): number; className: string }) {
  const share = Math.min(1, Math.max(0, at()));
  return <i class={`playhead ${className}`} style={{ left: `${share * 100}%` }} />;
}

/** Bits by which the frames differ, along the upload. Where single hits are not kept any more: mean and worst of each stretch. */
function Distances({ hits, evidence, length }: { hits: ReviewItem['hits']; evidence: Evidence; length: number }) {
  const left = (seconds: number) => `${(100 * seconds) / length}%`;
  const top = (bits: number) => `${(100 * Math.min(bits, PLOT_TOP)) / PLOT_TOP}%`;
  const worst = Math.max(0, ...evidence.segments.map((s) => s.distance.worst));
  return (
    <figure class="distances">
      <figcaption class="small quiet">
        Bits that differ between the frames, of 256. Up to {RADIUS} count as the same picture; unrelated ones differ by
        90 and more.
      </figcaption>
      <div
        class="plot"
        role="img"
        aria-label={`Distances along the upload: ${hits.length} frames compared, the worst ${worst} bits apart`}
      >
        <span class="axis num" style={{ top: '0%' }}>
          0
        </span>
        <span class="axis num" style={{ top: top(RADIUS) }}>
          {RADIUS}
        </span>
        <svg width="100%" height="100%" aria-hidden="true">
          <line class="grid" x1="0" x2="100%" y1="50%" y2="50%" />
          <line class="limit" x1="0" x2="100%" y1={top(RADIUS)} y2={top(RADIUS)} />
          {hits.length === 0 &&
            evidence.segments.map((s) => (
              <g key={s.upload[0]}>
                <line
                  class="mean"
                  x1={left(s.upload[0])}
                  x2={left(s.upload[1])}
                  y1={top(s.distance.mean)}
                  y2={top(s.distance.mean)}
                />
                <line
                  class="worst"
                  x1={left(s.upload[0])}
                  x2={left(s.upload[1])}
                  y1={top(s.distance.worst)}
                  y2={top(s.distance.worst)}
                />
              </g>
            ))}
          {hits.map((h) => (
            <circle key={`${h.upload} ${h.reference}`} class="hit" cx={left(h.upload)} cy={top(h.distance)} r="2.5" />
          ))}
        </svg>
      </div>
    </figure>
  );
}
