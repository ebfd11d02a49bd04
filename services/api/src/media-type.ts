/** The type by the first bytes, of what browsers can show; null for all else. What an object's name or its sender says does not count. */
export function mediaTypeOf(bytes: Uint8Array): string | null {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 16)).toString('latin1');
  if (text.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (/^GIF8[79]a/.test(text)) return 'image/gif';
  if (/^RIFF....WEBP/s.test(text)) return 'image/webp';
  if (/^....ftyp(avif|avis)/s.test(text)) return 'image/avif';
  if (/^....ftyp(heic|heix|mif1)/s.test(text)) return null;
  if (/^....(ftyp|moov|mdat|wide|free)/s.test(text)) return 'video/mp4';
  // Matroska and WebM share it; browsers that play one read the other's codecs as well.
  if (text.startsWith('\x1a\x45\xdf\xa3')) return 'video/webm';
  if (text.startsWith('OggS')) return 'video/ogg';
  return null;
}

/** Bytes that `mediaTypeOf` looks at. */
export const HEAD_BYTES = 16;

/** One range of "bytes=from-to" of so many bytes: [start, end); 'none' where none was asked for, null where it cannot be satisfied. */
export function rangeOf(header: string | undefined, size: number): { start: number; end: number } | 'none' | null {
  const found = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  // Several at once, or another unit: RFC 9110, section 14.2 lets us send all of it.
  if (!found || (found[1] === '' && found[2] === '')) return 'none';
  const [, from, to] = found;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size : Math.min(size, Number(to) + 1);
  return start < end && start < size ? { start, end } : null;
}
