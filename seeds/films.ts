import type { Film, Shot } from './paint/film.ts';

const FORMAT = { width: 288, height: 162, fps: 12, grain: 0.035, vignette: 0.4, colourful: 1, flicker: 0, fade: 0 };

/** Films by name: what is painted first, and everything else is cut from. */
export const FILMS = {
  'lantern-valley': {
    ...FORMAT,
    fade: 0.8,
    shots: [
      { scene: 'mountains', seed: 11, seconds: 9, push: 0.012 },
      { scene: 'forest', seed: 12, seconds: 5 },
      { scene: 'forest', seed: 12, seconds: 4, from: 4.4, zoom: 1.7, x: 0.05, y: 0.17, push: 0.02 },
      { scene: 'city', seed: 13, seconds: 5 },
      { scene: 'city', seed: 13, seconds: 4, from: 9, zoom: 1.75, x: 0.2, y: 0.18, push: 0.02 },
      { scene: 'robot', seed: 14, seconds: 4.5, from: 1 },
      { scene: 'sea', seed: 15, seconds: 5 },
      { scene: 'sea', seed: 15, seconds: 4, from: 6, zoom: 1.7, x: 0.05, y: 0.08 },
      { scene: 'road', seed: 16, seconds: 8 },
      { scene: 'underwater', seed: 17, seconds: 5 },
      { scene: 'underwater', seed: 17, seconds: 4, from: 7, zoom: 1.6, x: -0.2, y: 0.12, push: 0.03 },
      { scene: 'room', seed: 18, seconds: 5 },
      { scene: 'room', seed: 18, seconds: 4, from: 7, zoom: 1.9, x: 0.15, y: -0.05 },
      { scene: 'fields', seed: 19, seconds: 8.5 },
    ],
  },
  'paper-machines': {
    ...FORMAT,
    grain: 0.06,
    vignette: 0.55,
    colourful: 0.8,
    flicker: 0.08,
    shots: [
      { scene: 'cogs', seed: 23, seconds: 7 },
      { scene: 'cogs', seed: 23, seconds: 4, from: 9, zoom: 1.7, x: -0.3, y: 0.1 },
      { scene: 'village', seed: 25, seconds: 8 },
      { scene: 'village', seed: 25, seconds: 4, from: 9, zoom: 1.6, x: -0.1, y: 0.15 },
      { scene: 'pendulums', seed: 27, seconds: 8 },
      { scene: 'pendulums', seed: 27, seconds: 4, from: 10, zoom: 1.5, x: 0.2, y: -0.1 },
    ],
  },
  'other-valley': {
    ...FORMAT,
    shots: [
      { scene: 'fields', seed: 31, seconds: 5 },
      { scene: 'city', seed: 32, seconds: 5 },
      { scene: 'mountains', seed: 33, seconds: 6 },
    ],
  },
  'glass-works': {
    ...FORMAT,
    grain: 0.05,
    shots: [
      { scene: 'corridor', seed: 41, seconds: 7 },
      { scene: 'rose', seed: 42, seconds: 6 },
    ],
  },
} satisfies Record<string, Film & { shots: Shot[] }>;
export type FilmName = keyof typeof FILMS;

const PICTURE = { width: 800, height: 600, fps: 1, grain: 0.035, vignette: 0.3, colourful: 1, flicker: 0, fade: 0 };
const picture = (shot: Shot): Film => ({ ...PICTURE, shots: [shot] });

/** Pictures by file name: films of one frame. The first six are works, the rest are nobody's. */
export const PICTURES = {
  'picture-morning-ridge.png': picture({ scene: 'mountains', seed: 51, seconds: 1, from: 3 }),
  'picture-harbour-light.jpg': picture({ scene: 'sea', seed: 52, seconds: 1, from: 4 }),
  'picture-beech-wood.jpg': picture({ scene: 'forest', seed: 53, seconds: 1, from: 3.3 }),
  'picture-patchwork.jpg': picture({ scene: 'fields', seed: 54, seconds: 1, from: 2 }),
  'picture-night-village.png': picture({ scene: 'village', seed: 55, seconds: 1, from: 4 }),
  'picture-shoal.jpg': picture({ scene: 'underwater', seed: 56, seconds: 1, from: 5 }),
  'clean-picture-window.jpg': picture({ scene: 'rose', seed: 61, seconds: 1, from: 3 }),
  'clean-picture-ridge.jpg': picture({ scene: 'mountains', seed: 62, seconds: 1, from: 2 }),
  'clean-credits.png': { ...picture({ scene: 'credits', seed: 63, seconds: 1, from: 2 }), grain: 0, vignette: 0 },
} satisfies Record<string, Film>;
export type PictureName = keyof typeof PICTURES;

export const CARDS = {
  'clean-credits-roll.mp4': { ...FORMAT, grain: 0, vignette: 0, shots: [{ scene: 'credits', seed: 64, seconds: 10 }] },
  'clean-test-card.mp4': { ...FORMAT, grain: 0.02, vignette: 0, shots: [{ scene: 'testCard', seed: 65, seconds: 6 }] },
} satisfies Record<string, Film & { shots: Shot[] }>;
