import { type Signal, signal } from '@preact/signals';
import type { Segment } from '../../../src/wire.ts';

/** Two films shown in step: the reference is always where the upload's moment lies in it. */
export interface Step {
  /** Seconds in the upload. */
  at: Signal<number>;
  playing: Signal<boolean>;
  /** Tells of the elements as they come and go. */
  attach(side: 'upload' | 'reference', film: HTMLVideoElement | null): void;
  seek(seconds: number): void;
  toggle(): void;
  referenceAt(seconds: number): number;
  pause(): void;
}

/** Seconds by which the reference may be off before it is set right. */
const DRIFT = 0.15;

/** @param segments along which the reference runs; between them it follows the nearest */
export function createStep(segments: readonly Segment[], length: number): Step {
  const films: { upload: HTMLVideoElement | null; reference: HTMLVideoElement | null } = {
    upload: null,
    reference: null,
  };
  const at = signal(momentIn(segments));
  const playing = signal(false);
  let frame = 0;

  const lineAt = (seconds: number) => nearest(segments, seconds);
  const referenceAt = (seconds: number) => {
    const line = lineAt(seconds);
    return line ? Math.max(0, line.offset + line.speed * seconds) : seconds;
  };

  function place(film: HTMLVideoElement | null, seconds: number, slack: number): void {
    if (film && film.readyState > 0 && Math.abs(film.currentTime - seconds) > slack) film.currentTime = seconds;
  }

  function follow(): void {
    const { upload, reference } = films;
    if (!playing.peek() || !upload) return;
    at.value = upload.currentTime;
    place(reference, referenceAt(at.value), DRIFT);
    if (reference) reference.playbackRate = Math.min(4, Math.max(0.25, lineAt(at.value)?.speed ?? 1));
    if (reference?.paused) void reference.play().catch(() => undefined);
    if (upload.ended) stop();
    else frame = requestAnimationFrame(follow);
  }

  function stop(): void {
    playing.value = false;
    cancelAnimationFrame(frame);
    films.upload?.pause();
    films.reference?.pause();
  }

  return {
    ...{ at, playing, referenceAt },
    attach(side, film) {
      films[side] = film;
      if (!film) return;
      const set = () => place(film, side === 'upload' ? at.peek() : referenceAt(at.peek()), 0);
      if (film.readyState > 0) set();
      else film.addEventListener('loadedmetadata', set, { once: true });
    },
    seek(seconds) {
      at.value = Math.min(Math.max(0, seconds), length > 0 ? length : seconds);
      place(films.upload, at.value, 0);
      place(films.reference, referenceAt(at.value), 0);
    },
    toggle() {
      if (playing.peek()) return stop();
      if (!films.upload) return;
      playing.value = true;
      films.upload.play().then(
        () => {
          frame = requestAnimationFrame(follow);
        },
        () => stop(),
      );
    },
    pause: stop,
  };
}

/** The middle of the longest segment: where it is most sure what was copied. */
function momentIn(segments: readonly Segment[]): number {
  const [longest] = [...segments].sort((a, b) => b.upload[1] - b.upload[0] - (a.upload[1] - a.upload[0]));
  return longest ? (longest.upload[0] + longest.upload[1]) / 2 : 0;
}

function nearest(segments: readonly Segment[], seconds: number): Segment | undefined {
  const away = ({ upload: [from, to] }: Segment) => Math.max(from - seconds, seconds - to, 0);
  return segments.reduce<Segment | undefined>((best, s) => (best && away(best) <= away(s) ? best : s), undefined);
}
