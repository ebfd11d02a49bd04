/**
 * Every bad or hostile file ends in the outcome that the tables name: no crash, no hang, no process left behind, nothing
 * opened on its behalf. Real: decoders, threads, the loopback server, each build of ffmpeg that is here; the builds agree
 * on every file. The seeds are of our own making; the corpus is judged as well where it is there.
 */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FRAME_FLAT, type Rejection, sliceCount, sliceSpan } from '@vigil/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demuxerOf } from './decoder-options.ts';
import type { Fingerprinter } from './fingerprinter.ts';
import { brokenSeeds, namingSeeds, type Seeds } from './hostile-seeds.ts';
import { bytesSource, DEFAULT_LIMITS, type MediaSource } from './media-source.ts';
import { openFingerprinter } from './open-fingerprinter.ts';
import { probeVideo } from './probe.ts';
import { openRangeServer } from './range-server.ts';
import * as support from './test-support.ts';

/**
 * Odd but valid, and coded as what it is; `flat video`: valid, with nothing to judge in any frame; or the reason why it is
 * rejected.
 */
type Expected = 'image' | 'video' | 'flat video' | Rejection;

const SEEDS: Record<string, Expected> = {
  'nothing.jpg': 'empty',
  'nothing.mp4': 'empty',
  'one byte.mp4': 'not-media',
  'random bytes.mp4': 'not-media',
  'page named.jpg': 'not-media',
  'words.mp4': 'not-media',
  'png, half of it.png': 'image', // what is there is judged, as browsers show it
  'png, its header.png': 'corrupt',
  'png of 30000 x 30000.png': 'too-large',
  'png of 1 x 65536.png': 'too-little',
  'png of 65536 x 1.png': 'too-little',
  'png, one colour.png': 'too-little',
  'jpeg, nearly all of it.jpg': 'image',
  'jpeg, its header.jpg': 'truncated',
  'jpeg named.mp4': 'image',
  'film.mp4': 'video',
  'film named.jpg': 'video',
  'film, index in front, half of it.mp4': 'video', // players show that half
  'film, index cut off.mp4': 'truncated',
  'film, half of it.mp4': 'truncated',
  'film, its head.mp4': 'truncated',
  'film, samples overwritten.mp4': 'corrupt',
  'film, half of it.mkv': 'video',
  'film, its header.mkv': 'truncated',
  'film, cut in a packet.ts': 'video',
  'film, a packet of it.ts': 'not-media',
  'one frame.mp4': 'video',
  'tiny.avi': 'too-little',
  'black.mp4': 'flat video',
  'sound.wav': 'no-picture',
  'sound.mp4': 'no-picture',
  'sound with cover.mp4': 'no-picture',
  'film of 30000 x 30000.avi': 'too-large',
  'film of 9000 x 9000, without frames.avi': 'corrupt',
  'a thousand million samples.mp4': 'corrupt',
  'data reference to an address.mp4': 'video', // an entry that ffmpeg passes over: the samples in the file are shown
  'data reference to a file.mp4': 'unsupported-format',
  'hls named.mp4': 'unsupported-format',
  'hls of a file.mp4': 'unsupported-format',
  'dash.mpd': 'unsupported-format',
  'concat script.mp4': 'unsupported-format',
  'concat script, bare.txt': 'not-media',
  'session.sdp': 'not-media',
  'asx.asf': 'not-media',
  'reference.rm': 'not-media',
  'drawing.svg': 'unsupported-format',
  'drawing named.png': 'unsupported-format',
  'drawing after a comment.svg': 'unsupported-format',
  'external entity.xml': 'not-media',
};

const CORPUS: Record<string, Expected> = {
  'apng_16bit.png': 'too-little', // one colour
  'apng_animated.png': 'too-little', // one colour; its first frame is the picture
  'av1.mkv': 'video',
  'av1_real.mp4': 'video',
  'avif_8bit.avif': 'image',
  'avif_rot1_mirror0.avif': 'image',
  'bmp_bad_rle.bmp': 'unsupported-format',
  'bmp_bad_width.bmp': 'unsupported-format',
  'bomb_gif_header.gif': 'corrupt', // a header that promises a large frame, and none
  'bomb_ico.ico': 'unsupported-format',
  'broken_data_stream.png': 'image', // most rows decode
  'broken_png.png': 'corrupt',
  'flat_grey.jpg': 'too-little',
  'flat_white.png': 'too-little',
  'flv_h264.flv': 'video',
  'fuzzed_a.jpg': 'encrypted', // a fuzzed DASH header of an encrypted film
  'fuzzed_b.jpg': 'truncated', // an MP4 whose index claims to go on after its end
  'gif_animated_loop.gif': 'video',
  'gif_six_photos.gif': 'video',
  'h263_3gp.3gp': 'video',
  'h264_444.mp4': 'video',
  'heif_hopper.heif': 'image',
  'hevc_10bit.mp4': 'video',
  'html_named.jpg': 'not-media',
  'j2k_crash_4fb0.j2k': 'unsupported-format',
  'jp2_colour_managed.jp2': 'unsupported-format',
  'jpeg_bitflips.jpg': 'image',
  'jpeg_cmyk.jpg': 'image',
  'jpeg_cmyk_no_profile.jpg': 'image',
  'jpeg_corrupt_header.jpg': 'truncated',
  'jpeg_exif_gps_typeerror.jpg': 'image',
  'jpeg_exif_landscape_1.jpg': 'image',
  'jpeg_exif_landscape_3.jpg': 'image',
  'jpeg_exif_landscape_6.jpg': 'image',
  'jpeg_exif_landscape_8.jpg': 'image',
  'jpeg_exif_orientation_3.jpg': 'image',
  'jpeg_exif_orientation_6.jpg': 'image',
  'jpeg_gray.jpg': 'image',
  'jpeg_header_only.jpg': 'truncated',
  'jpeg_named.mp4': 'image',
  'jpeg_progressive_444.jpg': 'image',
  'jpeg_trailing_zip.jpg': 'image',
  'jpeg_truncated_camera.jpg': 'image', // enough rows decode
  'jpeg_truncated_half.jpg': 'image',
  'jpeg_truncated_real.jpg': 'truncated', // 2 % of the rows decode
  'mjpeg.avi': 'video',
  'mkv_audio_only.mkv': 'no-picture',
  'mkv_rotation_track.mkv': 'video',
  'mp4_1fps.mp4': 'video',
  'mp4_audio_only_opus.mp4': 'no-picture',
  'mp4_black_silent_60s.mp4': 'flat video',
  'mp4_encrypted_clearkey.mp4': 'encrypted',
  'mp4_fragmented.mp4': 'video', // its header claims 40 hours; its packets end after a second
  'mp4_mdat_too_long.mp4': 'video',
  'mp4_moov_at_end.mp4': 'video',
  'mp4_moov_missing.mp4': 'truncated',
  'mp4_no_video_stream.mp4': 'no-picture',
  'mp4_one_frame.mp4': 'video',
  'mp4_rotated_90_metadata.mp4': 'video',
  'mp4_truncated_half.mp4': 'truncated',
  'mp4_vfr.mp4': 'video',
  'mpeg2_interlaced.ts': 'video',
  'mpo_multi_picture.mpo': 'image',
  'one_pixel.png': 'too-little',
  'png_16bit_gray.png': 'image',
  'png_20000x1.png': 'too-little',
  'png_bomb_30000x30000.png': 'too-large',
  'png_full_transparent.png': 'too-little',
  'png_palette16.png': 'image',
  'png_very_wide_65536.png': 'too-large',
  'random_bytes.webp': 'not-media',
  'svg_named.png': 'unsupported-format',
  'tiff_crash_0c7e.tif': 'too-little', // nothing of it decodes but one colour
  'tiff_crash_1152.tif': 'too-little',
  'ts_cut_mid_packet.ts': 'video',
  'ts_mpeg2.ts': 'video',
  'vp9.webm': 'video',
  'vp9_10bit.webm': 'video',
  'vp9_odd_dimensions.webm': 'video',
  'webp_animated_loop.webp': 'image',
  'webp_big_height.webp': 'too-little', // 13 pixels wide
  'webp_six_photos.webp': 'image',
  'zero_byte.jpg': 'empty',
  'zero_byte.mp4': 'empty',
};

/** What the decoder processes of one file may hold together. */
const DECODER_BYTES = 768 * 2 ** 20;

const isFull = process.env.VIGIL_FULL === '1';
const builds = await support.findBuilds();
const folder = await support.scratchFolder();
const trap = await support.openTrap();
const secret = join(folder.path, 'a.mp4'); // one of the seeds: a film that no other file may lead to
const named = namingSeeds(trap.url, trap.port, secret);
const seeds: Seeds = new Map([...(await brokenSeeds(builds[0]!, folder.path, trap.url, secret)), ...named]);

afterAll(async () => {
  await trap[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function judge(fingerprinter: Fingerprinter, source: MediaSource): Promise<Expected> {
  const probed = await fingerprinter.probe(source);
  if (probed.status === 'rejected') return probed.reason;
  const { probe } = probed;
  const count = probe.kind === 'image' ? 1 : sliceCount(probe.duration);
  let usable = 0;
  for (let n = 0; n < count; n++) {
    const span = probe.kind === 'image' ? ([0, 0] as [number, number]) : sliceSpan(n, probe.duration);
    const outcome = await fingerprinter.fingerprint(source, { probe, span, purpose: 'upload' });
    if (outcome.status === 'rejected') return outcome.reason;
    const { frames, tables } = outcome.fingerprint;
    const lively = frames.flags.filter((flags) => (flags & FRAME_FLAT) === 0).length;
    expect(lively > 0).toBe(tables.some((table) => table.count > 0));
    usable += lively;
  }
  return probe.kind === 'image' ? 'image' : usable > 0 ? 'video' : 'flat video';
}

describe.each(builds)('$name', (build) => {
  let fingerprinter: Fingerprinter;
  beforeAll(async () => {
    // Less than the runner waits, so that decoding without an end is told by its outcome.
    fingerprinter = await openFingerprinter({ threads: 1, ffmpeg: build, limits: { sliceSeconds: 45 } });
  });
  afterAll(() => fingerprinter[Symbol.asyncDispose]());

  async function check(source: MediaSource, expected: Expected) {
    await using watch = support.watchDecoders();
    expect(await judge(fingerprinter, source)).toBe(expected);
    expect(await support.decodersRunning()).toEqual([]);
    expect(watch.peak).toBeLessThan(DECODER_BYTES);
  }

  test('the table has every seed', () => {
    expect([...seeds.keys()].sort()).toEqual(Object.keys(SEEDS).sort());
  });

  test.each(Object.entries(SEEDS))('%s: %s', (name, expected) => check(bytesSource(seeds.get(name)!), expected));

  describe.skipIf(!support.hasCorpus)(`corpus${support.hasCorpus ? '' : ' (SKIPPED: it is not here)'}`, () => {
    test('the table has every file', () => {
      expect(readdirSync(join(support.CORPUS, 'bad')).sort()).toEqual(Object.keys(CORPUS).sort());
    });

    test.each(Object.entries(CORPUS))('%s: %s', async (name, expected) => {
      await check(bytesSource(await readFile(join(support.CORPUS, 'bad', name))), expected);
    });
  });

  // Each format and each script, in the short form; each of the one with each of the other in the full one.
  const formats = ['mp4', 'matroska', 'avi', 'flv', 'asf', 'ogg', 'mpeg-ps', 'mpeg-ts', 'gif'];
  describe.each(formats.map((format, n) => ({ format, n })))(
    'a script that was taken for $format leads nowhere either',
    ({ format, n }) => {
      test.each([...named.keys()].filter((_, k) => isFull || (n + k) % formats.length === 0))('%s', async (name) => {
        await using server = await openRangeServer();
        expect(demuxerOf(format)).not.toBeNull();
        const source = bytesSource(named.get(name)!);
        await using share = server.share(source);
        const outcome = await probeVideo({ url: share.url, source, format, tools: build, limits: DEFAULT_LIMITS });
        expect(outcome.status).toBe('rejected');
      });
    },
  );

  test('nothing has visited the planted address', () => expect(trap.visits).toEqual([]));

  test('and it would have been, by an ffprobe that is not held back', async () => {
    await using bait = await support.openTrap();
    await using server = await openRangeServer();
    const script = `#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n${bait.url}/hls.ts\n#EXT-X-ENDLIST\n`;
    await using share = server.share(bytesSource(Buffer.from(script)));
    const args = ['-v', 'quiet', '-f', 'hls', '-allowed_extensions', 'ALL', share.url];
    await expect(promisify(execFile)(build.ffprobe, args, { timeout: 10_000 })).rejects.toThrow();
    expect(bait.visits).not.toEqual([]);
  });
});
