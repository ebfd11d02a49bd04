import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  decodeFingerprint,
  ENGINE_VERSION,
  encodeFingerprint,
  type Fingerprint,
  sliceCount,
  sliceSpan,
} from '@vigil/contracts';
import { bytesSource, DEFAULT_LIMITS, type Fingerprinter, openFingerprinter } from '@vigil/fingerprint';
import { ffmpegHere } from '../support/ffmpeg.ts';

const CACHE = fileURLToPath(new URL('../../.vigil/cache/codes', import.meta.url));
const FINGERPRINT = fileURLToPath(new URL('../../packages/fingerprint/src', import.meta.url));

export interface FileCodes {
  file: string;
  kind: 'image' | 'video';
  /** Seconds; 0 of an image. */
  duration: number;
  /** CPU milliseconds cannot be told apart from those of the decoder; this is wall time, of the first reading. */
  elapsedMs: number;
  slices: { slice: number; codes: Fingerprint }[];
}

/** Codes of files as the product makes them, kept by content and by the sources that made them: benches read one file many times. */
export interface Coder extends AsyncDisposable {
  /** null when the file is refused. */
  codesOf(file: string, purpose: 'reference' | 'upload' | 'confirm'): Promise<FileCodes | null>;
}

export async function openCoder(threads = 2): Promise<Coder> {
  let opened: Promise<Fingerprinter> | null = null;
  const fingerprinter = async () => {
    opened ??= openFingerprinter({ threads, limits: DEFAULT_LIMITS, ffmpeg: await ffmpegHere() });
    return opened;
  };

  async function make(file: string, bytes: Uint8Array, purpose: 'reference' | 'upload' | 'confirm') {
    const source = bytesSource(bytes);
    const startedAt = performance.now();
    const reader = await fingerprinter();
    const looked = await reader.probe(source);
    if (looked.status === 'rejected') return null;
    const { probe } = looked;
    const spans = probe.kind === 'image' ? 1 : sliceCount(probe.duration);
    const slices: FileCodes['slices'] = [];
    for (let slice = 0; slice < spans; slice++) {
      const span: [number, number] = probe.kind === 'image' ? [0, 0] : sliceSpan(slice, probe.duration);
      const made = await reader.fingerprint(source, { probe, span, purpose });
      if (made.status === 'codes') slices.push({ slice, codes: made.fingerprint });
    }
    const duration = probe.kind === 'video' ? probe.duration : 0;
    return { file, kind: probe.kind, duration, elapsedMs: performance.now() - startedAt, slices };
  }

  const sources = await digestOfSources();
  return {
    async codesOf(file, purpose) {
      const bytes = await readFile(file);
      const name = createHash('sha256')
        .update(bytes)
        .update(`${ENGINE_VERSION} ${sources} ${purpose}`)
        .digest('hex')
        .slice(0, 32);
      const kept = path.join(CACHE, `${name}.codes`);
      if (existsSync(kept)) return unpack(file, await readFile(kept));
      const made = await make(file, bytes, purpose);
      await mkdir(CACHE, { recursive: true });
      await writeFile(`${kept}.${process.pid}`, pack(made));
      await rename(`${kept}.${process.pid}`, kept);
      return made;
    },
    async [Symbol.asyncDispose]() {
      await (await opened)?.[Symbol.asyncDispose]();
    },
  };
}

/** A change that moves no version, such as which frames get patches, makes other codes all the same. */
async function digestOfSources(): Promise<string> {
  const names = (await readdir(FINGERPRINT)).filter((name) => !name.endsWith('.test.ts')).sort();
  const digest = createHash('sha256');
  for (const name of names) digest.update(name).update(await readFile(path.join(FINGERPRINT, name)));
  return digest.digest('hex');
}

/** A line of JSON, then the fingerprints one after the other. */
function pack(codes: FileCodes | null): Uint8Array {
  const parts = codes?.slices.map((s) => encodeFingerprint(s.codes)) ?? [];
  const lengths = parts.map((p) => p.length);
  const about = codes && { ...codes, slices: codes.slices.map((s) => s.slice), lengths };
  return Buffer.concat([Buffer.from(`${JSON.stringify(about)}\n`), ...parts]);
}

function unpack(file: string, bytes: Buffer): FileCodes | null {
  const end = bytes.indexOf(10);
  const about = JSON.parse(bytes.subarray(0, end).toString()) as
    | (Omit<FileCodes, 'slices'> & { slices: number[]; lengths: number[] })
    | null;
  if (!about) return null;
  let at = end + 1;
  const slices = about.slices.map((slice, i) => {
    const codes = decodeFingerprint(Uint8Array.from(bytes.subarray(at, at + about.lengths[i]!)));
    at += about.lengths[i]!;
    return { slice, codes };
  });
  return { file, kind: about.kind, duration: about.duration, elapsedMs: about.elapsedMs, slices };
}
