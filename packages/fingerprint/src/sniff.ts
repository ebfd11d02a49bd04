/**
 * What the first bytes of a file say it is. Names and content types are never asked. The decoders see only what is
 * listed here: formats that can name other files (SVG, HLS and DASH playlists, XML, concat scripts) are recognised so
 * that they are refused by name.
 */
export interface Sniffed {
  kind: 'image' | 'video' | 'unknown';
  /** Short lower-case name; 'unknown' when the bytes say nothing. */
  format: string;
}

/** Enough bytes to tell every format below apart. */
export const SNIFF_BYTES = 4096;

const image = (format: string): Sniffed => ({ kind: 'image', format });
const video = (format: string): Sniffed => ({ kind: 'video', format });
const unknown = (format: string): Sniffed => ({ kind: 'unknown', format });

/** @param head the first SNIFF_BYTES of the file, or all of it when it is shorter */
export function sniff(head: Uint8Array): Sniffed {
  const b = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const ascii = (at: number, text: string) =>
    b.length >= at + text.length && b.toString('latin1', at, at + text.length) === text;
  const bytes = (at: number, ...values: number[]) => values.every((v, i) => b[at + i] === v);

  if (bytes(0, 0xff, 0xd8, 0xff)) return image('jpeg'); // MPO too: its first picture is a JPEG
  if (bytes(0, 0x89) && ascii(1, 'PNG\r\n\x1a\n')) return image('png');
  if (ascii(0, 'GIF87a') || ascii(0, 'GIF89a')) return image('gif');
  if (ascii(0, 'RIFF') && ascii(8, 'WEBP')) return image('webp');
  if (ascii(0, 'RIFF') && ascii(8, 'AVI ')) return video('avi');
  if (ascii(0, 'RIFF') && ascii(8, 'WAVE')) return unknown('wav');
  if (ascii(4, 'ftyp')) return ofBrand(b);
  if (['moov', 'mdat', 'wide', 'skip', 'free', 'pnot'].some((box) => ascii(4, box))) return video('mov');
  if (bytes(0, 0x1a, 0x45, 0xdf, 0xa3)) return video('matroska'); // WebM is one of these
  if (ascii(0, 'FLV\x01')) return video('flv');
  if (bytes(0, 0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11)) return video('asf');
  if (ascii(0, 'OggS')) return video('ogg');
  if (bytes(0, 0, 0, 1, 0xba)) return video('mpeg-ps');
  if (bytes(0, 0, 0, 1, 0xb3)) return video('mpeg-video');
  if (isTransportStream(b)) return video('mpeg-ts');
  if (ascii(0, '.RMF')) return video('realmedia');
  if (ascii(0, 'DKIF')) return video('ivf');
  if (ascii(0, 'II*\0') || ascii(0, 'MM\0*')) return image('tiff');
  if (ascii(0, 'II+\0') || ascii(0, 'MM\0+')) return image('bigtiff');
  if (ascii(4, 'jP  \r\n')) return image('jp2');
  if (bytes(0, 0xff, 0x4f, 0xff, 0x51)) return image('j2k');
  if (bytes(0, 0xff, 0x0a) || ascii(4, 'JXL \r\n')) return image('jxl');
  if (ascii(0, '8BPS')) return image('psd');
  if (ascii(0, 'BM') && b.length >= 18 && b.readUInt32LE(14) >= 12 && b.readUInt32LE(14) <= 256) return image('bmp');
  if ((bytes(0, 0, 0, 1, 0) || bytes(0, 0, 0, 2, 0)) && (b[4] ?? 0) > 0) return image('ico');
  if (ascii(0, 'qoif')) return image('qoi');
  if (bytes(0, 0x76, 0x2f, 0x31, 0x01)) return image('exr');
  if (ascii(0, '#?RADIANCE') || ascii(0, '#?RGBE')) return image('hdr');
  if (ascii(0, 'ID3') || ascii(0, 'fLaC')) return unknown('audio');
  if (ascii(0, '%PDF-')) return unknown('pdf');
  if (ascii(0, 'PK\x03\x04')) return unknown('zip');
  return ofText(b);
}

const STILL_BRANDS: Record<string, string> = {
  avif: 'avif',
  avis: 'avif',
  heic: 'heic',
  heix: 'heic',
  heim: 'heic',
  heis: 'heic',
  hevc: 'heic',
  hevx: 'heic',
  crx: 'cr3',
};

/** ISO base media: the major brand decides; 'mif1' and 'msf1' only say "HEIF", so the compatible ones are asked. */
function ofBrand(b: Buffer): Sniffed {
  const end = Math.min(b.length, Math.max(16, b.readUInt32BE(0)), 16 + 4 * 64);
  const brands: string[] = [];
  for (let at = 8; at + 4 <= end; at += at === 8 ? 8 : 4) brands.push(b.toString('latin1', at, at + 4).trim());
  const major = brands[0] ?? '';
  if (STILL_BRANDS[major]) return image(STILL_BRANDS[major]);
  if (major === 'mif1' || major === 'msf1' || major === 'miaf') {
    const still = brands.find((brand) => STILL_BRANDS[brand]);
    return image(still ? STILL_BRANDS[still]! : 'heic');
  }
  if (major.startsWith('3g')) return video('3gp');
  if (major === 'M4A' || major === 'M4B') return unknown('audio');
  return video(major === 'qt' ? 'mov' : 'mp4');
}

/** Sync bytes 188 apart (192 with time codes, 204 with parity); a recording may begin in the middle of a packet. */
function isTransportStream(b: Buffer): boolean {
  for (const size of [188, 192, 204]) {
    for (let from = 0; from < size; from++) {
      if (b[from] !== 0x47) continue;
      let seen = 1;
      while (from + seen * size < b.length && b[from + seen * size] === 0x47) seen++;
      if (seen >= 5 && from + seen * size >= b.length) return true;
    }
  }
  return false;
}

const TEXTS: [RegExp, string][] = [
  [/<svg[\s>]/i, 'svg'],
  [/<!doctype html|<html[\s>]/i, 'html'],
  [/^#EXTM3U/, 'playlist'],
  [/^\s*<MPD[\s>]|<MPD[\s>]/, 'playlist'],
  [/^ffconcat /, 'playlist'],
  [/^\s*<\?xml/, 'xml'],
  [/^%!PS/, 'postscript'],
];

/** Text is told from binary by the absence of control bytes; UTF-16 by its mark. */
function ofText(b: Buffer): Sniffed {
  const text =
    b[0] === 0xff && b[1] === 0xfe ? b.toString('utf16le') : b.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  for (const [pattern, format] of TEXTS) if (pattern.test(text)) return unknown(format);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control bytes are what tells text from binary
  return unknown(b.length > 0 && !/[\x00-\x08\x0e-\x1f]/.test(text) ? 'text' : 'unknown');
}
