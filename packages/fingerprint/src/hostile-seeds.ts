/** For tests: bad and hostile files of our own making, so that nobody needs the corpus to try them. */
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import type { FfmpegLocation } from './ffmpeg-location.ts';
import { make } from './test-support.ts';

export type Seeds = Map<string, Uint8Array>;

const text = (content: string) => Buffer.from(content, 'utf8');

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A grey PNG that claims a size, with as many rows as are given. */
export function png(width: number, height: number, rows: number, level = (x: number, y: number) => (x * y) & 255) {
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  const lines = Buffer.alloc(rows * (width + 1));
  for (let y = 0; y < rows; y++) for (let x = 0; x < width; x++) lines[y * (width + 1) + 1 + x] = level(x, y);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    ...[chunk('IHDR', head), chunk('IDAT', deflateSync(lines)), chunk('IEND', new Uint8Array(0))],
  ]);
}

/** Scripts and documents that name another address. */
export function namingSeeds(url: string, port: number, file: string): Seeds {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="99" height="99"><image xlink:href="${url}/svg" href="${url}/svg2" width="99" height="99"/></svg>`;
  const mpd = `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>${url}/dash</BaseURL></Representation></AdaptationSet></Period></MPD>`;
  return new Map(
    Object.entries({
      'hls named.mp4': text(`#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n${url}/hls.ts\n#EXT-X-ENDLIST\n`),
      'hls of a file.mp4': text(`#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://${file}\n#EXT-X-ENDLIST\n`),
      'dash.mpd': text(mpd),
      'concat script.mp4': text(`ffconcat version 1.0\nfile ${url}/concat.mp4\nfile ${file}\n`),
      'concat script, bare.txt': text(`file '${file}'\nfile '${url}/concat.mp4'\n`),
      'session.sdp': text(
        `v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video ${port} RTP/AVP 96\na=rtpmap:96 H264/90000\n`,
      ),
      'asx.asf': text(`<asx version="3.0"><entry><ref href="${url}/asx"/></entry></asx>`),
      'reference.rm': text(`rtsp://127.0.0.1:${port}/x\n`),
      'drawing.svg': text(svg),
      'drawing named.png': text(svg),
      'drawing after a comment.svg': text(`<!-- ${'x'.repeat(200)} -->\n${svg}`),
      'external entity.xml': text(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "${url}/xxe">]><x>&e;</x>`),
    }),
  );
}

/** Media made by ffmpeg, and what is left of it after something went wrong. */
export async function brokenSeeds(build: FfmpegLocation, folder: string, url: string, file: string): Promise<Seeds> {
  const film = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=10:d=4'];
  const sound = ['-f', 'lavfi', '-i', 'sine=440:d=2'];
  const made = (name: string, ...args: string[]) => make(build, [...args, join(folder, name)]);
  const mp4 = Buffer.from(await made('a.mp4', ...film, '-c:v', 'mpeg4', '-q:v', '4'));
  const front = Buffer.from(await made('b.mp4', ...film, '-c:v', 'mpeg4', '-q:v', '4', '-movflags', '+faststart'));
  const ts = Buffer.from(await made('a.ts', ...film, '-c:v', 'mpeg2video', '-r', '25', '-q:v', '4'));
  const mkv = Buffer.from(await made('a.mkv', ...film, '-c:v', 'mpeg4', '-q:v', '4'));
  const avi = Buffer.from(await made('a.avi', ...film, '-c:v', 'rawvideo', '-pix_fmt', 'yuv420p', '-t', '0.5'));
  const jpeg = Buffer.from(await made('a.jpg', ...film, '-frames:v', '1', '-q:v', '3', '-f', 'image2', '-update', '1'));
  const cover = Buffer.from(
    await made(
      'c.mp4',
      ...sound,
      ...film,
      '-map',
      '0:a',
      '-map',
      '1:v',
      '-frames:v',
      '1',
      '-c:a',
      'aac',
      '-c:v',
      'mjpeg',
      '-disposition:v:0',
      'attached_pic',
    ),
  );
  const grid = png(320, 180, 180);
  const random = Uint8Array.from({ length: 20_000 }, (_, i) => Math.imul(i + 1, 2654435761) >>> 24);
  return new Map<string, Uint8Array>(
    Object.entries({
      'nothing.jpg': new Uint8Array(0),
      'nothing.mp4': new Uint8Array(0),
      'one byte.mp4': Uint8Array.of(0),
      'random bytes.mp4': random,
      'page named.jpg': text('<!doctype html><html><body>not found</body></html>'),
      'words.mp4': text('This is not a film.\n'.repeat(50)),
      'png, half of it.png': grid.subarray(0, grid.length >> 1),
      'png, its header.png': grid.subarray(0, 40),
      'png of 30000 x 30000.png': png(30_000, 30_000, 2),
      'png of 1 x 65536.png': png(1, 65_536, 65_536),
      'png of 65536 x 1.png': png(65_536, 1, 1),
      'png, one colour.png': png(320, 180, 180, () => 90),
      'jpeg, nearly all of it.jpg': jpeg.subarray(0, Math.floor(jpeg.length * 0.9)),
      'jpeg, its header.jpg': jpeg.subarray(0, 400),
      'jpeg named.mp4': jpeg,
      'film.mp4': mp4,
      'film named.jpg': mp4,
      'film, index in front, half of it.mp4': front.subarray(0, front.length >> 1),
      'film, index cut off.mp4': mp4.subarray(0, mp4.indexOf('moov') + 200),
      'film, half of it.mp4': mp4.subarray(0, mp4.length >> 1),
      'film, its head.mp4': mp4.subarray(0, 24),
      'film, samples overwritten.mp4': overwritten(front),
      'film, half of it.mkv': mkv.subarray(0, mkv.length >> 1),
      'film, its header.mkv': mkv.subarray(0, 60),
      'film, cut in a packet.ts': ts.subarray(100, ts.length - 77),
      'film, a packet of it.ts': ts.subarray(0, 188),
      'one frame.mp4': await made('d.mp4', ...film, '-c:v', 'mpeg4', '-frames:v', '1'),
      'tiny.avi': await made(
        't.avi',
        '-f',
        'lavfi',
        '-i',
        'testsrc2=s=16x16:r=5:d=1',
        '-c:v',
        'rawvideo',
        '-pix_fmt',
        'yuv420p',
      ),
      'black.mp4': await made('k.mp4', '-f', 'lavfi', '-i', 'color=black:s=320x180:r=10:d=3', '-c:v', 'mpeg4'),
      'sound.wav': await made('a.wav', ...sound),
      'sound.mp4': await made('e.mp4', ...sound, '-c:a', 'aac'),
      'sound with cover.mp4': cover,
      'film of 30000 x 30000.avi': resizedAvi(avi, 30_000, 30_000),
      'film of 9000 x 9000, without frames.avi': resizedAvi(avi, 9000, 9000),
      'a thousand million samples.mp4': manySamples(front),
      'data reference to an address.mp4': externalReference(mp4, 'url ', text(`${url}/dref.mp4\0`)),
      'data reference to a file.mp4': externalReference(mp4, 'alis', alias(file)),
    }),
  );
}

/** Index intact, every sample nonsense. */
function overwritten(film: Buffer): Buffer {
  const out = Buffer.from(film);
  for (let i = out.indexOf('mdat') + 4; i < out.length; i++) out[i] = Math.imul(i, 2246822519) >>> 24;
  return out;
}

function resizedAvi(film: Buffer, width: number, height: number): Buffer {
  const out = Buffer.from(film);
  const format = out.indexOf('strf') + 8;
  out.writeInt32LE(width, format + 4);
  out.writeInt32LE(height, format + 8);
  return out;
}

function manySamples(film: Buffer): Buffer {
  const out = Buffer.from(film);
  out.writeUInt32BE(1_000_000_000, out.indexOf('stsz') + 12);
  out.writeUInt32BE(1_000_000_000, out.indexOf('stts') + 12);
  return out;
}

/** Replaces the one data reference ("in this file") of a film whose index lies at the end. */
function externalReference(film: Buffer, type: string, payload: Buffer): Buffer {
  const at = film.indexOf('dref') + 12; // the entry, after version, flags and count
  const old = film.readUInt32BE(at);
  const entry = Buffer.concat([Buffer.alloc(12), payload]);
  entry.writeUInt32BE(entry.length, 0);
  entry.write(type, 4, 'latin1');
  const out = Buffer.concat([film.subarray(0, at), entry, film.subarray(at + old)]);
  for (const box of ['dref', 'dinf', 'minf', 'mdia', 'trak', 'moov']) {
    const size = film.lastIndexOf(box, at) - 4;
    out.writeUInt32BE(film.readUInt32BE(size) + entry.length - old, size);
  }
  return out;
}

/** A Macintosh alias record with an absolute path, as the mov demuxer reads it. */
function alias(path: string): Buffer {
  const head = Buffer.alloc(150);
  head.writeUInt16BE(150, 4);
  const name = Buffer.from(path, 'utf8');
  const record = Buffer.alloc(4 + name.length + (name.length & 1) + 4);
  record.writeInt16BE(2, 0);
  record.writeUInt16BE(name.length, 2);
  name.copy(record, 4);
  record.writeInt16BE(-1, record.length - 4);
  return Buffer.concat([head, record]);
}
