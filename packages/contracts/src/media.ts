import { z } from 'zod';

/** What others write and a database keeps: any text but the one character that no database takes. */
export const Text = z
  .string()
  .max(4096)
  .regex(/^[^\0]*$/, 'must not contain NUL');

/** Where media lie, and which bytes are meant. `version` is the object's version or ETag. */
export const MediaLocation = z.object({
  source: Text.describe('who announced it: the platform, or an API'),
  bucket: Text,
  key: Text,
  version: Text.default(''),
});
export type MediaLocation = z.infer<typeof MediaLocation>;

export const MediaKind = z.enum(['image', 'video']);
export type MediaKind = z.infer<typeof MediaKind>;

/** Format of a video that lies in the store as a list of pictures. */
export const FRAMES_FORMAT = 'frames';

/** Why media could not be judged. Each reads as the end of the sentence "It was rejected because ...". */
export const REJECTIONS = {
  empty: 'the file is empty',
  'not-media': 'the bytes are neither an image nor a video that Vigil reads',
  'unsupported-format': 'the format is known but not one that Vigil reads',
  'no-picture': 'there is no video stream, only sound or data',
  'no-frames': 'no frame could be decoded',
  truncated: 'the file ends before its content does',
  corrupt: 'the content is damaged beyond decoding',
  encrypted: 'the content is encrypted',
  'too-large': 'it has more pixels or bytes than the limit allows',
  'too-long': 'it lasts longer than the limit allows',
  'too-slow': 'decoding it took longer than the limit allows',
  'too-little': 'there is too little in it to judge: flat, black, or a few pixels',
  missing: 'the object is not where the event says',
  'not-allowed': 'the bucket is not one that this installation may open',
  deleted: 'the upload was deleted before it was judged',
  'given-up': 'looking at it failed again and again while its store answered others, or ended the process that looked',
} as const;
export const Rejection = z.enum(Object.keys(REJECTIONS) as [keyof typeof REJECTIONS, ...(keyof typeof REJECTIONS)[]]);
export type Rejection = z.infer<typeof Rejection>;

/** What a look at the container says. Times in seconds; width and height as shown, rotation applied. */
export const Probe = z.object({
  kind: MediaKind,
  format: z.string(),
  codec: z.string(),
  width: z.number().int().positive(),
  height: z.number().int().positive(),
  duration: z.number().nonnegative(),
  /** Seconds that the first frame's time stamp lies after zero; frame times are given relative to it. */
  startTime: z.number().default(0),
  frameRate: z.number().nonnegative().default(0),
  /** Number of the video stream in its container, of which all of this is said; absent of images, and in old events. */
  stream: z.number().int().nonnegative().optional(),
  /** Bytes of the object. */
  size: z.number().int().nonnegative(),
  /** Odd things that are allowed: damaged tail, unknown duration, rotated. */
  notes: z.array(z.string()).default([]),
});
export type Probe = z.infer<typeof Probe>;
