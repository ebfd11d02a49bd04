import { describe, expect, it } from 'vitest';
import { sniff } from './sniff.ts';

// Real: everything. Only heads of files, as the specifications give them.
const latin = (text: string) => Buffer.from(text, 'latin1');
const ftyp = (major: string, ...compatible: string[]) => {
  const brands = latin(`ftyp${major}\0\0\0\0${compatible.join('')}`);
  return Buffer.concat([Buffer.from([0, 0, 0, 4 + brands.length]), brands, latin('\0\0\0\x08free')]);
};
const packets = (size: number, before: number) => {
  const stream = Buffer.alloc(before + 12 * size, 0xee);
  for (let at = before; at < stream.length; at += size) stream[at] = 0x47;
  return stream;
};

describe('sniff', () => {
  it.each<[string, Buffer, string, string]>([
    ['JPEG', latin('\xff\xd8\xff\xe0\0\x10JFIF'), 'image', 'jpeg'],
    ['PNG', latin('\x89PNG\r\n\x1a\n\0\0\0\rIHDR'), 'image', 'png'],
    ['GIF', latin('GIF89a\x01\0\x01\0'), 'image', 'gif'],
    ['WebP', latin('RIFF\x20\0\0\0WEBPVP8 '), 'image', 'webp'],
    ['AVI', latin('RIFF\x20\0\0\0AVI LIST'), 'video', 'avi'],
    ['WAV', latin('RIFF\x20\0\0\0WAVEfmt '), 'unknown', 'wav'],
    ['AVIF', ftyp('avif', 'mif1', 'miaf'), 'image', 'avif'],
    ['AVIF that calls itself HEIF', ftyp('mif1', 'avif', 'miaf'), 'image', 'avif'],
    ['HEIC', ftyp('heic', 'mif1'), 'image', 'heic'],
    ['HEIC that calls itself HEIF', ftyp('mif1', 'mif1', 'heic'), 'image', 'heic'],
    ['MP4', ftyp('isom', 'isom', 'avc1'), 'video', 'mp4'],
    ['MP4 whose compatible brands name a still', ftyp('isom', 'avif'), 'video', 'mp4'],
    ['QuickTime', ftyp('qt  '), 'video', 'mov'],
    ['QuickTime without ftyp', latin('\0\0\0\x08wide\0\0\0\0mdat'), 'video', 'mov'],
    ['3GP', ftyp('3gp4'), 'video', '3gp'],
    ['M4A', ftyp('M4A '), 'unknown', 'audio'],
    ['Matroska', latin('\x1a\x45\xdf\xa3\x9f'), 'video', 'matroska'],
    ['FLV', latin('FLV\x01\x05'), 'video', 'flv'],
    ['ASF', Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'), 'video', 'asf'],
    ['Ogg', latin('OggS\0\x02'), 'video', 'ogg'],
    ['program stream', latin('\0\0\x01\xba\x44'), 'video', 'mpeg-ps'],
    ['transport stream', packets(188, 0), 'video', 'mpeg-ts'],
    ['transport stream from the middle of a packet', packets(188, 77), 'video', 'mpeg-ts'],
    ['M2TS', packets(192, 4), 'video', 'mpeg-ts'],
    ['TIFF', latin('II*\0\x08\0\0\0'), 'image', 'tiff'],
    ['BMP', Buffer.from('424d360000000000000036000000280000000a0000000a000000', 'hex'), 'image', 'bmp'],
    ['ICO', latin('\0\0\x01\0\x01\0\x10\x10'), 'image', 'ico'],
    ['JPEG 2000', latin('\0\0\0\x0cjP  \r\n\x87\n'), 'image', 'jp2'],
    ['PSD', latin('8BPS\0\x01'), 'image', 'psd'],
    ['SVG', latin('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">'), 'unknown', 'svg'],
    ['SVG in UTF-16', Buffer.from('\ufeff<svg width="9">', 'utf16le'), 'unknown', 'svg'],
    ['HTML', latin('<!DOCTYPE html><html>'), 'unknown', 'html'],
    ['HLS playlist', latin('#EXTM3U\nfile:///etc/passwd'), 'unknown', 'playlist'],
    ['concat script', latin("ffconcat version 1.0\nfile '/etc/passwd'"), 'unknown', 'playlist'],
    ['DASH manifest', latin('<?xml version="1.0"?><MPD type="static">'), 'unknown', 'playlist'],
    ['XML', latin('<?xml version="1.0"?><note/>'), 'unknown', 'xml'],
    ['PDF', latin('%PDF-1.7'), 'unknown', 'pdf'],
    ['ZIP', latin('PK\x03\x04'), 'unknown', 'zip'],
    ['text', latin('BM I said, and nothing more'), 'unknown', 'text'],
    ['noise', Buffer.from('93d20b7c001f55aa', 'hex'), 'unknown', 'unknown'],
    ['nothing', Buffer.alloc(0), 'unknown', 'unknown'],
  ])('%s', (_, head, kind, format) => {
    expect(sniff(head)).toEqual({ kind, format });
  });

  it('reads no byte outside what it was given', () => {
    const inside = Uint8Array.from(Buffer.concat([latin('GIF8'), latin('9a'), Buffer.alloc(20)])).subarray(0, 4);
    expect(sniff(inside)).toEqual({ kind: 'unknown', format: 'text' });
    for (let n = 0; n < 24; n++) expect(() => sniff(ftyp('mif1', 'heic').subarray(0, n))).not.toThrow();
  });
});
