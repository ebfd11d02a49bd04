import { mulberry32 } from '../network/deliver-twice.ts';
import { LATE_WORK, type Medium } from './media.ts';

/** One object that is announced. */
export interface PlannedUpload {
  key: string;
  medium: Medium;
  /** How often its event is delivered. */
  deliveries: 1 | 2;
}

export interface Form {
  name: 'short' | 'full';
  uploads: number;
  /** Shares of the uploads that are not images. */
  clips: number;
  films: number;
  odd: number;
  /** Each kind of fault so often, in another order each time. Every fault has its share of the uploads. */
  rounds: number;
  /** In which a fault's share is sent, from its beginning on. */
  sendSeconds: number;
  /** From one fault to the next, at most. */
  pauseSeconds: number;
  /** After the last one, nothing may stand still for so long before all is judged. */
  drainSeconds: number;
  /** Until then a process that has started takes what memory it needs. */
  warmSeconds: number;
  /** Lengths of outages are drawn from this range. */
  outageSeconds: readonly [number, number];
}

export const FORMS: Record<Form['name'], Form> = {
  short: {
    name: 'short',
    uploads: 100,
    clips: 0.06,
    films: 0,
    odd: 0.06,
    rounds: 1,
    sendSeconds: 3,
    pauseSeconds: 0.5,
    drainSeconds: 60,
    warmSeconds: 0,
    outageSeconds: [3, 5],
  },
  full: {
    name: 'full',
    uploads: 2000,
    clips: 0.1,
    films: 0.01,
    odd: 0.04,
    rounds: 4,
    sendSeconds: 15,
    pauseSeconds: 5,
    drainSeconds: 120,
    warmSeconds: 45,
    outageSeconds: [4, 25],
  },
};

export type Random = () => number;
export const randomOf = (seed: number): Random => mulberry32(seed);
export const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
export const between = (random: Random, [low, high]: readonly [number, number]): number =>
  low + random() * (high - low);
export function shuffled<T>(random: Random, list: readonly T[]): T[] {
  const left = [...list];
  const out: T[] = [];
  while (left.length > 0) out.push(...left.splice(Math.floor(random() * left.length), 1));
  return out;
}

/** The same for the same seed. Copies of the late work are among them. */
export function planUploads(form: Form, media: readonly Medium[], seed: number): PlannedUpload[] {
  const random = randomOf(seed);
  const of = (kind: Medium['kind']) => media.filter((m) => m.kind === kind);
  const wanted: Medium['kind'][] = [];
  for (const [kind, share] of [
    ['clip', form.clips],
    ['film', form.films],
    ['odd', form.odd],
  ] as const)
    for (let n = 0; n < Math.round(share * form.uploads); n++) wanted.push(kind);
  while (wanted.length < form.uploads) wanted.push('image');
  return shuffled(random, wanted).map((kind, n) => ({
    key: `fault/${String(n).padStart(4, '0')}`,
    medium: pick(random, of(kind)),
    deliveries: random() < 0.2 ? 2 : 1,
  }));
}

/** Registered at the end, so that its copies are judged a second time. */
export const isLate = (medium: Medium): boolean => medium.copyOf === LATE_WORK;
