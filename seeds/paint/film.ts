import { createCanvas, develop } from './canvas.ts';
import { credits, testCard } from './cards.ts';
import { cogs, corridor, pendulums, rose, village } from './machines.ts';
import { fields, forest, mountains, road, sea } from './outdoors.ts';
import { city, robot, room, underwater } from './places.ts';
import { clamp, hash2 } from './random.ts';
import type { Scene } from './scene.ts';

export const SCENES = {
  mountains,
  forest,
  sea,
  fields,
  road,
  city,
  robot,
  underwater,
  room,
  cogs,
  village,
  pendulums,
  corridor,
  rose,
  credits,
  testCard,
} satisfies Record<string, Scene>;
export type SceneName = keyof typeof SCENES;

/** A stretch without a cut: a scene from second `from` of its own time, seen by a camera of its own that moves in. */
export interface Shot {
  scene: SceneName;
  seed: number;
  seconds: number;
  from?: number;
  x?: number;
  y?: number;
  zoom?: number;
  /** Zoom per second. */
  push?: number;
}

export interface Film {
  shots: readonly Shot[];
  /** Frame size and rate of the rendering. */
  width: number;
  height: number;
  fps: number;
  grain: number;
  vignette: number;
  colourful: number;
  /** Share of the light that trembles, as on old film. */
  flicker: number;
  /** Seconds of fading in and out. */
  fade: number;
}

export const filmSeconds = (film: Film): number => film.shots.reduce((sum, shot) => sum + shot.seconds, 0);
export const filmFrames = (film: Film): number => Math.round(filmSeconds(film) * film.fps);

/** Paints any frame of a film, 24-bit RGB; the array is used again for the next one. */
export function createPainter(film: Film): (frame: number) => Uint8Array {
  const canvas = createCanvas(film.width, film.height);
  const out = new Uint8Array(film.width * film.height * 3);
  const ready = new Map<string, ReturnType<Scene>>();
  const total = filmSeconds(film);
  return (frame) => {
    const time = frame / film.fps;
    let start = 0;
    let index = 0;
    while (index < film.shots.length - 1 && time >= start + film.shots[index]!.seconds - 1e-6) {
      start += film.shots[index++]!.seconds;
    }
    const shot = film.shots[index]!;
    const id = `${shot.scene} ${shot.seed}`;
    let scene = ready.get(id);
    if (!scene) {
      scene = SCENES[shot.scene](shot.seed);
      ready.set(id, scene);
    }
    const t = time - start;
    canvas.shot = { x: shot.x ?? 0, y: shot.y ?? 0, zoom: (shot.zoom ?? 1) * (1 + (shot.push ?? 0) * t), roll: 0 };
    scene(canvas, (shot.from ?? 0) + t);
    const light = film.fade === 0 ? 1 : clamp(time / film.fade, 0.02, 1) * clamp((total - time) / film.fade, 0.02, 1);
    const tremble = 1 - film.flicker * hash2(frame, 77);
    return develop(canvas, { ...film, grainSeed: frame + 1, light: light * tremble }, out);
  };
}
