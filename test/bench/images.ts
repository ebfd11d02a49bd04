import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { codeFromHex, hamming } from '@vigil/contracts';
import { DEFAULT_LIMITS } from '@vigil/fingerprint';
import { decodeImage, fingerprintImage } from '../../packages/fingerprint/src/image.ts';
import { pdqTurns } from '../../packages/fingerprint/src/pdq.ts';
import { lumaOf } from '../../packages/fingerprint/src/pdq-filter.ts';
import { cpuMs, machine, median } from './cpu-time.ts';
import { makePictures } from './engine-media.ts';
import { runPeer } from './peers/peer-python.ts';

const HELP = `npm run bench -- images [--megapixels 0.5,2,12] [--count 12] [--rounds 5] [--seed 1] [--no-peers]
  CPU of a picture's codes: whole and trimmed in eight turns, thumbnail, patches; beside the decoder alone and beside pdqhash
  (PyPI, built from source) on the same files. One thread, production defaults. Prints one JSON line.`;

const PEER = ['numpy==2.3.5', 'pillow==12.0.0', 'pdqhash==0.2.8'];
const PEER_LIMIT_MS = 15 * 60_000;

interface Pdqhash {
  pdqhash: string;
  decodeMs: number;
  hashMs: number;
  codes: string[];
}

/** Milliseconds of CPU an image: of each the best round, of all the median. */
export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      megapixels: { type: 'string', default: '0.5,2,12' },
      count: { type: 'string', default: '12' },
      rounds: { type: 'string', default: '5' },
      seed: { type: 'string', default: '1' },
      peers: { type: 'boolean', default: true },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const [count, rounds, seed] = [Number(values.count), Number(values.rounds), Number(values.seed)];
  const rows: unknown[] = [];
  for (const megapixels of values.megapixels.split(',').map(Number)) {
    const files = await makePictures(count, megapixels, seed);
    const ours = await measure(files, rounds);
    const row = { megapixels, images: files.length, ...ours.row };
    if (!values.peers) rows.push(row);
    else {
      const beside = await runPeer<Pdqhash>('pdqhash-images.py', PEER, [String(rounds), ...files], PEER_LIMIT_MS);
      rows.push({ ...row, pdqhash: 'skipped' in beside ? beside : compare(ours, beside) });
    }
  }
  return { bench: 'images', options: { ...values, limits: 'default', purpose: 'upload' }, machine: machine(), rows };
}

async function measure(files: readonly string[], rounds: number) {
  const each = { decode: [] as number[], all: [] as number[], pdq: [] as number[] };
  const codes: Uint8Array[] = [];
  const modes = new Set<string>();
  let bytes = 0;
  let found = 0;
  const sources = await Promise.all(files.map((file) => readFile(file)));
  for (const source of [sources[0]!, sources[0]!]) await fingerprintImage(source, DEFAULT_LIMITS);
  for (const source of sources) {
    bytes += source.length;
    const best = { decode: Infinity, all: Infinity, pdq: Infinity };
    for (let k = 0; k < rounds; k++) {
      let start = cpuMs();
      const { pixels } = await decodeImage(source, DEFAULT_LIMITS);
      best.decode = Math.min(best.decode, cpuMs() - start);

      // What pdqhash computes, and no more: the code of the picture as it is, and its quality.
      start = cpuMs();
      const luma = lumaOf(pixels.data, pixels.width, pixels.height, pixels.channels);
      const { codes: pdq } = pdqTurns(luma, pixels.width, pixels.height, ['none']);
      best.pdq = Math.min(best.pdq, cpuMs() - start);
      if (k === 0) codes.push(pdq[0]!.bits);

      start = cpuMs();
      const made = await fingerprintImage(source, DEFAULT_LIMITS);
      best.all = Math.min(best.all, cpuMs() - start);
      if (k > 0 || made.status === 'rejected') continue;
      modes.add(made.fingerprint.mode);
      found += made.fingerprint.tables.reduce((n, table) => n + table.count, 0);
    }
    for (const key of ['decode', 'all', 'pdq'] as const) each[key].push(best[key]);
  }
  const [decodeMs, allMs, pdqMs] = [median(each.decode), median(each.all), median(each.pdq)];
  return {
    codes,
    row: {
      mode: [...modes].join(' and '),
      kilobytes: Math.round(bytes / files.length / 1000),
      codesAnImage: found / files.length,
      decodeMs,
      allMs,
      codesMs: median(each.all.map((all, i) => all - each.decode[i]!)),
      codesOfDecoding: median(each.all.map((all, i) => (all - each.decode[i]!) / each.decode[i]!)),
      exactPdqMs: pdqMs,
      decodedAndExactPdqMs: median(each.pdq.map((pdq, i) => pdq + each.decode[i]!)),
    },
  };
}

/** Where the decoder shrank the picture first (mode fast), the codes are ours of that and the times are not alike. */
function compare({ codes, row }: Awaited<ReturnType<typeof measure>>, peer: Pdqhash) {
  const apart = codes.map((code, i) => hamming(code, codeFromHex(peer.codes[i]!))).sort((a, b) => a - b);
  const whole = peer.decodeMs + peer.hashMs;
  return {
    version: peer.pdqhash,
    decodeMs: peer.decodeMs,
    hashMs: peer.hashMs,
    decodedAndHashMs: whole,
    timesOurs: whole / row.decodedAndExactPdqMs,
    timesOurAllCodes: whole / row.allMs,
    bitsApart: { median: median(apart), worst: apart.at(-1) },
  };
}
