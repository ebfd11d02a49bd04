/**
 * HEIC and HEIF stills by libheif compiled to WebAssembly: sharp's own build carries no HEVC decoder. The header is read
 * first, so that nothing larger than the limit is ever decoded. Runs on the calling thread; whoever calls bounds the time.
 */

interface HeicImage {
  width: number;
  height: number;
  decode(): Promise<{ width: number; height: number; data: Uint8ClampedArray }>;
}
interface HeicDecoder {
  all(input: { buffer: Uint8Array }): Promise<HeicImage[] & { dispose(): void }>;
}

export class HeicTooLarge extends Error {}

/**
 * First picture of a file as RGBA, its rotation applied. With `headerOnly` its size alone, `data` being empty.
 * @throws HeicTooLarge above `maxPixels`; Error when the bytes cannot be decoded
 */
export async function decodeHeic(
  bytes: Uint8Array,
  { maxPixels, headerOnly = false }: { maxPixels: number; headerOnly?: boolean },
): Promise<{ width: number; height: number; data: Uint8Array }> {
  // Loaded when the first HEIC comes: compiling the module costs tens of milliseconds and 10 MB a thread.
  // @ts-expect-error the package ships no types; HeicDecoder above is the part in use
  const { default: decoder } = (await import('heic-decode')) as { default: HeicDecoder };
  const images = await decoder.all({ buffer: bytes });
  try {
    const first = images[0];
    if (!first) throw new Error('there is no picture in it');
    const { width, height } = first;
    if (width * height > maxPixels) throw new HeicTooLarge(`${width} x ${height} pixels`);
    if (headerOnly) return { width, height, data: new Uint8Array(0) };
    const { data } = await first.decode();
    return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  } finally {
    images.dispose();
  }
}
