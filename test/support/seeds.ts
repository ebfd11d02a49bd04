import { fileURLToPath } from 'node:url';
import { makeSeeds, type SeedSet } from '../../seeds/generate.ts';
import { ffmpegHere } from './ffmpeg.ts';

const FOLDER = fileURLToPath(new URL('../../.vigil/seeds', import.meta.url));

/** The demo's works and uploads, made once and kept. */
export async function seedsHere(): Promise<SeedSet> {
  const { ffmpeg } = await ffmpegHere();
  return makeSeeds(FOLDER, { ffmpeg });
}
