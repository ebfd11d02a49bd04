import type { PatchCodes } from './patch-codes.ts';

/** The codes that are not everybody's. */
export function withoutCommon(codes: PatchCodes): PatchCodes {
  return codes;
}
