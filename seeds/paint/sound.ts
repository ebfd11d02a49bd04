import { cloud, random } from './random.ts';

const RATE = 22_050;
const SCALES = [
  [0, 2, 4, 7, 9],
  [0, 2, 3, 7, 10],
  [0, 3, 5, 7, 10],
  [0, 2, 5, 7, 9],
];

/** Music for scenes of the given lengths: a chord that swells, plucked notes and wind. A WAV file, 16 bits, one channel. */
export function compose(seed: number, scenes: readonly number[]): Uint8Array {
  const total = scenes.reduce((a, b) => a + b, 0);
  const samples = new Float32Array(Math.round(total * RATE));
  const next = random(seed * 31 + 5);
  const wind = cloud(seed, 6, 8);
  let from = 0;
  for (const seconds of scenes) {
    const scale = SCALES[Math.floor(next() * SCALES.length)]!;
    const root = 110 * 2 ** (Math.floor(next() * 12) / 12);
    const note = (n: number) => root * 2 ** (Math.floor(n / 5) + scale[n % 5]! / 12);
    for (const degree of [0, 2, 4]) swell(samples, from, seconds, note(degree), 0.07);
    const beat = 0.22 + 0.14 * next();
    for (let at = 0; at < seconds - 0.1; at += beat) {
      if (next() < 0.75) pluck(samples, from + at, note(5 + Math.floor(next() * 10)), 0.12 + 0.08 * next());
    }
    from += seconds;
  }
  for (let i = 0; i < samples.length; i++) {
    const t = i / RATE;
    samples[i]! += (next() - 0.5) * 0.1 * wind.at(t * 0.03, 0.5);
  }
  return wav(samples);
}

function swell(out: Float32Array, from: number, seconds: number, hertz: number, loudness: number): void {
  const first = Math.round(from * RATE);
  const count = Math.min(Math.round(seconds * RATE), out.length - first);
  const turn = (2 * Math.PI * hertz) / RATE;
  for (let i = 0; i < count; i++) {
    const edge = Math.min(1, i / 8000, (count - i) / 8000);
    out[first + i]! += loudness * edge * (Math.sin(turn * i) + 0.4 * Math.sin(2.003 * turn * i) * Math.sin(i / 30_000));
  }
}

function pluck(out: Float32Array, from: number, hertz: number, loudness: number): void {
  const first = Math.round(from * RATE);
  const turn = (2 * Math.PI * hertz) / RATE;
  let decay = loudness;
  for (let i = 0; i < RATE * 0.7 && first + i < out.length; i++, decay *= 0.9997) {
    out[first + i]! += decay * (Math.sin(turn * i) + 0.3 * Math.sin(3 * turn * i)) * Math.min(1, i / 60);
  }
}

function wav(samples: Float32Array): Uint8Array {
  const out = Buffer.alloc(44 + samples.length * 2);
  out.write('RIFF', 0);
  out.writeUInt32LE(36 + samples.length * 2, 4);
  out.write('WAVEfmt ', 8);
  out.writeUInt32LE(16, 16);
  out.writeUInt16LE(1, 20);
  out.writeUInt16LE(1, 22);
  out.writeUInt32LE(RATE, 24);
  out.writeUInt32LE(RATE * 2, 28);
  out.writeUInt16LE(2, 32);
  out.writeUInt16LE(16, 34);
  out.write('data', 36);
  out.writeUInt32LE(samples.length * 2, 40);
  for (let i = 0; i < samples.length; i++) {
    out.writeInt16LE(Math.round(Math.max(-1, Math.min(1, samples[i]!)) * 32_000), 44 + 2 * i);
  }
  return out;
}
