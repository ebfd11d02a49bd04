import { z } from 'zod';

/** Shapes that several routes share. */

export const Id = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\0]*$/);
export const Name = z
  .string()
  .trim()
  .min(1)
  .max(500)
  .regex(/^[^\0]*$/, 'must not contain NUL');
export const Holder = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\0]*$/)
  .describe('who holds the rights; only for keys that belong to no holder');
export const Statement = z
  .string()
  .max(10_000)
  .regex(/^[^\0]*$/);
export const When = z.number().int().describe('milliseconds since 1970');
export const MaybeWhen = When.nullable();
export const Reference = z.object({ id: z.string(), version: z.number().int() });
export const Seconds = z.tuple([z.number(), z.number()]).describe('[from, to] in seconds; [0, 0] of a picture');
