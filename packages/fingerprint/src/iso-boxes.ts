import { type MediaSource, readRange } from './media-source.ts';

/** What the box structure of an ISO file (MP4, MOV, 3GP) says about why it cannot be read. */
export interface IsoLook {
  /** The index of all samples. */
  moov: 'whole' | 'cut short' | 'missing';
  /** A box claims to end after the file does. */
  cutShort: boolean;
  /** A track is marked as encrypted (Common Encryption: sample entries `encv`, `enca`). */
  encrypted: boolean;
}

const MAX_BOXES = 4096;
const MAX_MOOV_BYTES = 8 * 2 ** 20;

/** Walks the top-level boxes (ISO/IEC 14496-12, 4.2), reading their headers and the first 8 MB of `moov` alone. */
export async function lookAtIsoBoxes(source: MediaSource, signal?: AbortSignal): Promise<IsoLook> {
  const look: IsoLook = { moov: 'missing', cutShort: false, encrypted: false };
  let at = 0;
  for (let n = 0; n < MAX_BOXES && at < source.size; n++) {
    const head = Buffer.from(await readRange(source, at, Math.min(at + 16, source.size), signal));
    if (head.length < 8) return { ...look, cutShort: true };
    const type = head.toString('latin1', 4, 8);
    let size = head.readUInt32BE(0);
    if (size === 0)
      size = source.size - at; // to the end of the file
    else if (size === 1) size = head.length < 16 ? 0 : Number(head.readBigUInt64BE(8));
    if (size < 8 || !/^[\x20-\x7e\xa9]{4}$/.test(type)) return look;
    if (at + size > source.size) look.cutShort = true;
    if (type === 'moov') {
      look.moov = at + size <= source.size ? 'whole' : 'cut short';
      const end = Math.min(at + size, at + MAX_MOOV_BYTES, source.size);
      const moov = Buffer.from(await readRange(source, at, end, signal));
      look.encrypted ||= moov.includes('encv') || moov.includes('enca');
    }
    at += size;
  }
  return look;
}
