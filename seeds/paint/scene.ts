import type { Canvas } from './canvas.ts';

/** Sets a scene up once from a seed; what it returns paints the scene at a time in seconds since the scene began. */
export type Scene = (seed: number) => (c: Canvas, t: number) => void;
