import { z } from 'zod';
import { CODE_KINDS, TURNS } from './codes.ts';

/** [start, end] in seconds; [0, 0] for an image. */
export const Span = z.tuple([z.number(), z.number()]);
export type Span = z.infer<typeof Span>;

/** left, top, right, bottom as fractions 0..1 of a picture. */
export const Region = z.tuple([z.number(), z.number(), z.number(), z.number()]);
export type Region = z.infer<typeof Region>;

export const ReferenceKey = z.object({ id: z.string(), version: z.number().int().positive() });
export type ReferenceKey = z.infer<typeof ReferenceKey>;
export const referenceKey = (r: ReferenceKey): string => `${r.id}@${r.version}`;

/** How a copy was altered. Absent means: not altered in that way, or not seen to be. */
export const Altered = z.object({
  /** The turn that makes the upload look like the reference. */
  turn: z.enum(TURNS).optional(),
  inverted: z.boolean().optional(),
  /** Part of the upload's picture that shows the reference; the rest is border or other pictures. */
  inset: Region.optional(),
  /** Part of the reference's picture that the upload shows. */
  cropped: Region.optional(),
  /** Reference seconds per upload second: 1.06 was sped up by 6 %. */
  speed: z.number().positive().optional(),
  /** Row-major 2 x 3: upload (0..1, 0..1) to reference (0..1, 0..1), where a geometry was fitted. */
  affine: z.array(z.number()).length(6).optional(),
  /**
   * The same where the picture was seen at a slant: row-major 3 x 3 without its last element, which is 1. `affine` is then
   * what it is in the middle of the picture.
   */
  projective: z.array(z.number()).length(8).optional(),
});
export type Altered = z.infer<typeof Altered>;

/** One query code that lies within the radius of one reference code. */
export const Hit = z.object({
  at: z.number().describe('seconds in the upload'),
  ref: z.number().describe('seconds in the reference'),
  distance: z.number().int(),
  quality: z.number().int().describe('of the upload code'),
  /** Hex of the upload's code, so that frames which show the same picture can be counted once. */
  code: z.string(),
});
export type Hit = z.infer<typeof Hit>;

/**
 * Hits of one slice and one reference that agree on one geometry and one line in time, t_ref = offset + speed * t_upload.
 * Not thresholded: one hit is an alignment.
 */
export const Alignment = z.object({
  reference: ReferenceKey,
  kind: z.enum(CODE_KINDS),
  /** What the reference is: a hit of a still in a film means less than a hit of a film in a film. */
  referenceMedia: z.enum(['image', 'video']),
  altered: Altered,
  offset: z.number(),
  speed: z.number(),
  /** Distinct upload frames that hit. */
  frames: z.number().int(),
  /** Of patches: places that agree on the geometry, each counted once; cells of a tenth of the picture that they lie in. */
  inliers: z.number().int().optional(),
  cells: z.number().int().optional(),
  hits: z.array(Hit).max(96),
});
export type Alignment = z.infer<typeof Alignment>;

/** A stretch in which upload and reference were compared frame by frame and agree. */
export const Segment = z.object({
  upload: Span,
  reference: Span,
  offset: z.number(),
  speed: z.number(),
  /** Frames compared in the stretch, and those of them that agree. */
  frames: z.object({ matched: z.number().int(), eligible: z.number().int() }),
  /** Of the agreeing frames. */
  distance: z.object({ mean: z.number(), worst: z.number() }),
  /** Frames within RADIUS that show pictures which differ from each other. A still shown for a minute is one; 256 are as many as are counted. */
  distinct: z.number().int(),
  /**
   * Some of those pictures, spread over the stretch: seconds in the upload, and the reference's code in hex. So that stretches that
   * are joined count each picture once, and a stretch that is cut keeps its own.
   */
  pictures: z
    .array(z.object({ at: z.number(), code: z.string() }))
    .max(16)
    .optional(),
  /** False where any offset would agree (a static camera) or too few frames tell: the place in the reference is then a guess. */
  timed: z.boolean(),
  /** Correlation -1..1 of thumbnails under the geometry, where it was looked at. */
  correlation: z.number().optional(),
  /** Of patches: as in the alignment that was confirmed. Without them a segment rests on whole pictures. */
  inliers: z.number().int().optional(),
  cells: z.number().int().optional(),
});
export type Segment = z.infer<typeof Segment>;

/** What one upload, or one slice of it, shares with one reference. */
export const Evidence = z.object({
  reference: ReferenceKey,
  referenceMedia: z.enum(['image', 'video']),
  kind: z.enum(CODE_KINDS),
  altered: Altered,
  segments: z.array(Segment),
  /** Longest stretch and sum of stretches, in seconds of the upload. 0 for images. */
  longest: z.number(),
  total: z.number(),
  /** total over the upload's and the reference's length. For an image: 1, or the share of its picture. */
  share: z.object({ upload: z.number(), reference: z.number() }),
  /** 0..1, rises with measured precision. */
  confidence: z.number(),
});
export type Evidence = z.infer<typeof Evidence>;
