/**
 * HEIC and HEIF stills by libheif compiled to WebAssembly: sharp's own build carries no HEVC decoder. The header is read
 * first, so that nothing larger than the limit is ever decoded. Runs on the calling thread; whoever calls bounds the time.
 */

interface HeifImage {
  get_width(): number;
  get_height(): number;
  is_primary(): boolean;
  /** Fills RGBA; gives null when it cannot. */
  display(
    target: { data: Uint8ClampedArray; width: number; height: number },
    done: (shown: object | null) => void,
  ): void;
  free(): void;
}
interface LibHeif {
  HeifDecoder: new () => {
    decoder: { delete(): void } | null;
    /** Top-level images in the file's order; none when it cannot be read. */
    decode(bytes: Uint8Array): HeifImage[];
  };
}

export class HeicTooLarge extends Error {}

/**
 * The primary picture of a file, which viewers show wherever it stands, as RGBA, its rotation applied. With `headerOnly` its size
 * alone, `data` being empty.
 * @throws HeicTooLarge above `maxPixels`; Error when the bytes cannot be decoded
 */
export async function decodeHeic(
  bytes: Uint8Array,
  { maxPixels, headerOnly = false }: { maxPixels: number; headerOnly?: boolean },
): Promise<{ width: number; height: number; data: Uint8Array }> {
  // Loaded when the first HEIC comes: compiling the module costs tens of milliseconds and 10 MB a thread.
  // @ts-expect-error the package's types do not name what LibHeif above has, the part in use
  const { default: libheif } = (await import('libheif-js/wasm-bundle.js')) as { default: LibHeif };
  const decoder = new libheif.HeifDecoder();
  const images = decoder.decode(bytes);
  try {
    const primary = images.find((image) => image.is_primary()) ?? images[0];
    if (!primary) throw new Error('there is no picture in it');
    const [width, height] = [primary.get_width(), primary.get_height()];
    if (width * height > maxPixels) throw new HeicTooLarge(`${width} x ${height} pixels`);
    if (headerOnly) return { width, height, data: new Uint8Array(0) };
    const data = new Uint8ClampedArray(4 * width * height);
    const shown = await new Promise((resolve) => primary.display({ data, width, height }, resolve));
    if (!shown) throw new Error('HEIF processing error');
    return { width, height, data: new Uint8Array(data.buffer) };
  } finally {
    for (const image of images) image.free();
    decoder.decoder?.delete();
  }
}
