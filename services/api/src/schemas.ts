import { z } from 'zod';

/** Shapes that several routes share. */

const text = () => z.string().regex(/^[^\0]*$/, 'must not contain NUL');

export const Id = text().min(1).max(200);
export const Name = text().trim().min(1).max(500);
export const Holder = text().min(1).max(200).describe('who holds the rights; only for keys that belong to no holder');
export const Statement = text().max(10_000);
/** The last moment that a Date can be. */
const END_OF_TIME = 8.64e15;
export const When = z.number().int().max(END_OF_TIME).describe('milliseconds since 1970');
/** The same in a query. */
export const WhenAsked = z.coerce.number().int().min(0).max(END_OF_TIME);
export const MaybeWhen = When.nullable();
export const Reference = z.object({ id: z.string(), version: z.number().int() });
export const Seconds = z.tuple([z.number(), z.number()]).describe('[from, to] in seconds; [0, 0] of a picture');
