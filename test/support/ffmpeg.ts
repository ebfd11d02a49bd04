import { spawn } from 'node:child_process';
import { findFfmpeg } from '@vigil/fingerprint';

/** The ffmpeg that tests make media with and Vigil reads them with; the old fallback will do here. */
export const ffmpegHere = () =>
  findFfmpeg({
    ...(process.env.VIGIL_FFMPEG ? { ffmpegPath: process.env.VIGIL_FFMPEG } : {}),
    ...(process.env.VIGIL_FFPROBE ? { ffprobePath: process.env.VIGIL_FFPROBE } : {}),
    path: process.env.PATH ?? '',
    allowOld: true,
  });

/** Runs a program to its end. @throws with the end of what it said, when it fails */
export function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}: ${said}`))));
  });
}
