/** Media as a run of bytes that can be read anywhere. */
export interface MediaSource {
  size: number;
  /**
   * Bytes [start, end), cut short at the end, in the pieces in which they came: what is only passed on need not be copied. They are not
   * to be changed.
   */
  read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array[]>;
}

/** Media that lie in memory. */
export const bytesSource = (bytes: Uint8Array): MediaSource => ({
  size: bytes.length,
  read: async (start, end) => [bytes.slice(start, end)],
});

/** Bytes [start, end) in one piece, fewer where the source ends. */
export async function readRange(
  source: MediaSource,
  start: number,
  end: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const pieces = await source.read(start, end, signal);
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

/** Limits on what one upload may cost. Nothing that a header claims is believed beyond them. */
export interface MediaLimits {
  maxImageBytes: number;
  maxVideoBytes: number;
  maxPixels: number;
  maxDurationSeconds: number;
  /** Wall seconds for one probe, and for the decoding of one slice. */
  probeSeconds: number;
  sliceSeconds: number;
  /** Address space of a decoder process, in bytes. */
  decoderBytes: number;
}

export const DEFAULT_LIMITS: MediaLimits = {
  maxImageBytes: 64 * 2 ** 20,
  maxVideoBytes: 64 * 2 ** 30,
  maxPixels: 100_000_000,
  maxDurationSeconds: 48 * 3600,
  probeSeconds: 20,
  sliceSeconds: 120,
  decoderBytes: 3 * 2 ** 30,
};
