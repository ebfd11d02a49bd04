import { mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { hamming } from '@vigil/contracts';
import { bytesSource, checkKernels, findFfmpeg, missingAbilities, openFingerprinter } from '@vigil/fingerprint';
import { type Config, silentLogger } from '@vigil/runtime';
import { createIndex } from '@vigil/similarity';
import { hashFingerprint } from '../hash-lists.ts';
import { createDisks } from '../watching/disks.ts';
import { type Finding, type Found, failure, look, ok, skipped, warning, wordsOf } from './findings.ts';

const MIB = 2 ** 20;
const decodes = ({ roles }: Config) =>
  roles.some((role) => role === 'plan' || role === 'fingerprint' || role === 'confirm');

/** What this machine is to have, whatever the stores are: folders, room, programs, kernels, a port. */
export async function checkMachine(config: Config): Promise<Finding[]> {
  const { dataFolder } = config;
  const ours = `let the user that runs Vigil (uid ${process.getuid?.() ?? '?'}) write to`;
  return Promise.all([
    look('node', 'use the Node 24 that the project brings along: npm start, npx vigil', checkNode),
    look('data folder', `${ours} ${dataFolder}, or name another folder with VIGIL_DATA`, () => checkFolder(dataFolder)),
    look('temporary folder', `${ours} ${tmpdir()}, or name another folder with TMPDIR`, () => checkFolder(tmpdir())),
    ...(['data', 'temp'] as const).map((disk) =>
      look(`disk: ${disk}`, 'see that the folder is there', () => checkDisk(config, disk)),
    ),
    look('memory', 'give it more', () => checkMemory(config)),
    look('kernels', 'npm run build:wasm', () => checkWasm(config)),
    look('index', 'npm run build:wasm', () => checkIndex(config)),
    look('ffmpeg', 'install ffmpeg 5 or newer', () => checkFfmpeg(config)),
    look('pictures', 'npm ci: sharp was not installed for this machine', () => checkPictures(config)),
    look('port', 'stop what listens there, or choose another with VIGIL_PORT', () => checkPort(config)),
  ]);
}

function checkNode(): Found {
  const major = Number.parseInt(process.versions.node, 10);
  return major >= 24 ? ok(process.version) : failure(`${process.version} is too old`, 'use Node 24 or newer');
}

async function checkFolder(folder: string): Promise<Found> {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `.vigil-doctor-${process.pid}`);
  const words = crypto.randomUUID();
  try {
    await writeFile(file, words, { mode: 0o600 });
    const read = await readFile(file, 'utf8');
    return read === words
      ? ok(`${folder} can be written and read`)
      : failure('it reads something else', 'check the disk');
  } finally {
    await rm(file, { force: true });
  }
}

async function checkDisk({ dataFolder, watching }: Config, disk: 'data' | 'temp'): Promise<Found> {
  const paths = { data: dataFolder, temp: tmpdir() };
  const stat = async (at: string) => statfs(await existing(at));
  const disks = createDisks({
    paths,
    reserveBytes: watching.diskReserveBytes,
    clock: { now: Date.now, sleep: async () => undefined },
    logger: silentLogger,
    stat,
  });
  const found = (await disks.look()).find((one) => one.disk === disk);
  if (!found) return skipped(`${paths[disk]} cannot be looked at`);
  const { freeBytes, sizeBytes, reserveBytes } = found;
  const text = `${Math.round(freeBytes / MIB)} of ${Math.round(sizeBytes / MIB)} MiB are free at ${paths[disk]}`;
  const todo = `make room; below ${Math.round(reserveBytes / MIB)} MiB (VIGIL_DISK_RESERVE_MIB) nothing is taken in`;
  if (freeBytes < reserveBytes) return failure(text, todo);
  return freeBytes < sizeBytes * 0.1 ? warning(text, todo) : ok(text);
}

/** The folder itself, or the nearest one above it that is there. */
async function existing(folder: string): Promise<string> {
  return statfs(folder).then(
    () => folder,
    () => (path.dirname(folder) === folder ? folder : existing(path.dirname(folder))),
  );
}

/** Measured: 531 MB at capacity with two decoders; each more takes a decoder process and two threads' worth. */
const BASE_BYTES = 500 * MIB;
const DECODER_BYTES = 150 * MIB;

function checkMemory(config: Config): Found {
  const limit = process.constrainedMemory();
  const most = limit > 0 && limit < totalmem() ? limit : totalmem();
  const needed = BASE_BYTES + (decodes(config) ? DECODER_BYTES * (config.concurrency + 1) : 0);
  const text = `${Math.round(most / MIB)} MiB${limit > 0 && limit < totalmem() ? ' (limit of this group)' : ''}, about ${Math.round(needed / MIB)} are used at capacity`;
  if (most >= needed) return ok(text);
  return warning(text, `raise the limit, or lower VIGIL_CONCURRENCY (${config.concurrency})`);
}

function checkWasm(config: Config): Found {
  if (!decodes(config)) return skipped('nothing is decoded in these roles');
  const wrong = checkKernels();
  if (wrong === null) return ok('the WebAssembly kernels make the same codes as their twins');
  if (wrong === 'missing') return warning('the WebAssembly kernels are not built: the slow twins do the work', BUILD);
  return failure(`${wrong}: they were built from other sources, and every picture would be rejected as corrupt`, BUILD);
}
const BUILD = 'npm run build:wasm';

/** One planted code, at 31 and at 32 bits from what is asked. */
function checkIndex({ roles }: Config): Found {
  if (!roles.includes('match')) return skipped('nothing is matched in these roles');
  using index = createIndex();
  const planted = Uint8Array.from({ length: 32 }, (_, i) => (i * 73 + 41) & 0xff);
  index.add({ id: 'planted', version: 1 }, 0, 'image', hashFingerprint(planted));
  const at = (bits: number) =>
    planted.map((byte, i) => byte ^ (i < bits >> 3 ? 0xff : i === bits >> 3 ? (1 << (bits & 7)) - 1 : 0));
  const [near, far] = [at(31), at(32)];
  const distances = [near, far].map((code) => hamming(planted, code));
  const hits = [near, far].map((code) => index.search('picture', code).length);
  const walk = index.stats().find((s) => s.kind === 'picture')?.walk ?? 'unknown';
  if (distances.join() !== '31,32') return failure(`the test itself is wrong: ${distances}`, 'report this');
  if (hits[0] !== 1 || hits[1] !== 0)
    return failure(`31 bits away: ${hits[0]} found; 32 bits away: ${hits[1]} found`, BUILD);
  if (walk !== 'wasm') return warning(`what must be found is found, by the slow walk (${walk})`, BUILD);
  return ok('what must be found is found, and what must not is not');
}

async function checkFfmpeg(config: Config): Promise<Found> {
  if (!decodes(config)) return skipped('nothing is decoded in these roles');
  const named = 'or name the two programs with VIGIL_FFMPEG and VIGIL_FFPROBE';
  const remedy = `install ffmpeg 5 or newer (Debian and Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg), ${named}`;
  let found: Awaited<ReturnType<typeof findFfmpeg>>;
  try {
    found = await findFfmpeg({ ...config.ffmpeg, allowOld: true });
  } catch (error) {
    return failure(wordsOf(error).replace(/ Install ffmpeg[\s\S]*/, ''), remedy);
  }
  const { ffmpeg, version, old } = found;
  if (old) return failure(`${ffmpeg} is ${version}, a build with known faults: vigil start refuses it`, remedy);
  const { demuxers, decoders } = await missingAbilities(ffmpeg);
  const lacks = [...demuxers.map((d) => `container ${d}`), ...decoders.map((d) => `codec ${d}`)];
  if (lacks.length === 0) return ok(`${version} at ${ffmpeg}, with all containers and codecs`);
  const text = `${version} at ${ffmpeg} lacks ${lacks.join(', ')}: such uploads end as rejected`;
  return warning(text, `use a full build, ${named}`);
}

async function checkPictures(config: Config): Promise<Found> {
  if (!decodes(config)) return skipped('nothing is decoded in these roles');
  const tools = { ffmpeg: 'ffmpeg', ffprobe: 'ffprobe', version: '0' };
  await using fingerprinter = await openFingerprinter({ threads: 1, ffmpeg: tools });
  const source = bytesSource(madePng());
  const probe = await fingerprinter.probe(source);
  if (probe.status === 'rejected') return failure(`a sound picture is ${probe.reason}: ${probe.detail}`, 'npm ci');
  const made = await fingerprinter.fingerprint(source, { probe: probe.probe, span: [0, 0], purpose: 'upload' });
  if (made.status === 'rejected')
    return failure(`a sound picture is ${made.reason}: ${made.detail}`, 'npm ci && npm run build:wasm');
  return ok(
    `a picture was decoded and coded (${made.fingerprint.tables.map((t) => `${t.count} ${t.kind}`).join(', ')})`,
  );
}

/** 64 x 64, RGB: by hand, so that nothing but what is checked has to work. */
function madePng(): Uint8Array {
  const side = 64;
  const lines = Buffer.alloc(side * (1 + 3 * side));
  for (let y = 0; y < side; y++)
    for (let x = 0; x < 3 * side; x++) lines[y * (1 + 3 * side) + 1 + x] = ((x >> 4) * 53 + (y >> 3) * 97) & 0xff;
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [signature, chunk('IHDR', header), chunk('IDAT', deflateSync(lines)), chunk('IEND', Buffer.alloc(0))];
  return new Uint8Array(Buffer.concat(parts));
}

/** Whoever listens on all of them is asked at one. */
const EVERY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

async function checkPort({ host, port }: Config): Promise<Found> {
  if (port === 0) return ok('any free port');
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port }, () => resolve(null));
  });
  server.close();
  if (error === null) return ok(`${host}:${port} is free`);
  if (error.code !== 'EADDRINUSE')
    return failure(`${host}:${port}: ${error.message}`, 'give VIGIL_HOST and VIGIL_PORT that this user may listen on');
  const near = EVERY_ADDRESS[host] ?? host;
  const alive = await fetch(`http://${near.includes(':') ? `[${near}]` : near}:${port}/health/live`, {
    signal: AbortSignal.timeout(2000),
  })
    .then(async (r) => r.ok && ((await r.json()) as { status?: string }).status === 'alive')
    .catch(() => false);
  if (alive) return ok(`Vigil listens on ${host}:${port} already`);
  return failure(`something else listens on ${host}:${port}`, 'stop it, or choose another port with VIGIL_PORT');
}
