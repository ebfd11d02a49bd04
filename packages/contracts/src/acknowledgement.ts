import { z } from 'zod';

/** Printable ASCII: these are looked up in tables, named in settings and printed on terminals. */
const Name = z
  .string()
  .max(200)
  .regex(/^[\x21-\x7e]+$/, 'printable ASCII without spaces');

/**
 * in: what a surface of the platform (its web site, its apps, its CDN) has done about a takedown or a restoration. `failed`
 * asks for nothing: the action stays open and is sent again. Of several from one surface the one with the latest `at`
 * holds, and at the same instant `done`: so that order and repetition do not matter.
 */
export const Acknowledgement = z.object({
  action: Name.describe("the `id` in the takedown's data, whatever its attempt; not the envelope's id"),
  upload: Name,
  surface: Name.describe('as named in VIGIL_SURFACES'),
  status: z.enum(['done', 'failed']),
  at: z.number().nonnegative().max(8.64e15).describe('milliseconds since 1970, by the clock of the surface'),
  note: z.string().optional().describe('for people; the first 2,000 characters are kept'),
});
export type Acknowledgement = z.infer<typeof Acknowledgement>;
