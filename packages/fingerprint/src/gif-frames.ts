import { type MediaSource, readRange } from './media-source.ts';

const WINDOW_BYTES = 1 << 20;
/** The second frame of a real animation comes early; further on this is not looked for. */
const MAX_BYTES = 64 * WINDOW_BYTES;

/** Whether a GIF has a second frame (GIF89a, section 20: an image descriptor is a block that begins with a comma). */
export async function isAnimatedGif(source: MediaSource, signal?: AbortSignal): Promise<boolean> {
  let window: Uint8Array = new Uint8Array(0);
  let from = 0;
  const byte = async (at: number): Promise<number> => {
    if (at >= from + window.length || at < from) {
      if (at >= Math.min(source.size, MAX_BYTES)) throw END;
      from = at;
      window = await readRange(source, at, Math.min(source.size, at + WINDOW_BYTES), signal);
      if (window.length === 0) throw END;
    }
    return window[at - from]!;
  };
  const tableBytes = (packed: number) => (packed & 0x80 ? 3 * 2 ** ((packed & 7) + 1) : 0);
  const afterSubBlocks = async (at: number): Promise<number> => {
    for (let size = await byte(at); size !== 0; size = await byte(at)) at += size + 1;
    return at + 1;
  };
  try {
    let at = 13 + tableBytes(await byte(10));
    for (let frames = 0; ; ) {
      const block = await byte(at);
      if (block === 0x21) at = await afterSubBlocks(at + 2);
      else if (block === 0x2c) {
        if (++frames === 2) return true;
        at = await afterSubBlocks(at + 10 + tableBytes(await byte(at + 9)) + 1);
      } else return false;
    }
  } catch (error) {
    if (error === END) return false;
    throw error;
  }
}

const END = new Error('the GIF ends here');
