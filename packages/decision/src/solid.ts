import type { Segment } from '@vigil/contracts';
import { SOLID_CELLS, SOLID_INLIERS } from './limits.ts';

/** Does it rest on whole pictures, or on enough patches that lie far enough apart? */
export const isSolid = ({ inliers, cells }: Segment): boolean =>
  inliers === undefined || (inliers >= SOLID_INLIERS && (cells ?? 0) >= SOLID_CELLS);
