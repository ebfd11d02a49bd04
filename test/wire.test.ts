/** What the page expects is what the API answers: types by the compiler, addresses here. */
import { readFileSync } from 'node:fs';
import type * as wire from '@vigil/console/wire';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import type { CaseShown, CaseSummary } from '../services/api/src/routes/cases.ts';
import type { Status } from '../services/api/src/routes/live.ts';
import type { ReferenceShown, Registered } from '../services/api/src/routes/references.ts';
import type { Item, Summary } from '../services/api/src/routes/reviews.ts';
import { routesOf } from '../services/api/src/routes.ts';
import { signInRoutes } from '../services/api/src/sign-in.ts';

describe('wire.ts', () => {
  test('has the types of the answers', () => {
    expectTypeOf<z.output<typeof Item>>().toExtend<wire.ReviewItem>();
    expectTypeOf<z.output<typeof Summary>>().toExtend<wire.ReviewSummary>();
    expectTypeOf<z.output<typeof CaseSummary>>().toExtend<wire.CaseSummary>();
    expectTypeOf<z.output<typeof CaseShown>>().toExtend<wire.Case>();
    expectTypeOf<z.output<typeof ReferenceShown>>().toExtend<wire.Reference>();
    expectTypeOf<z.output<typeof Registered>>().toExtend<wire.Registered>();
    expectTypeOf<Pick<z.output<typeof Status>, 'rates' | 'takedown' | 'minutes' | 'cases' | 'queues'>>().toExtend<
      Pick<wire.Status, 'rates' | 'takedown' | 'minutes' | 'cases' | 'queues'>
    >();
    // Of the compiler alone: here it is only seen to be there.
    expect(readFileSync(WIRE, 'utf8')).toContain('export interface ReviewItem');
  });

  test('names no address that is not there', () => {
    const named = [...readFileSync(WIRE, 'utf8').matchAll(/^ \* \| (GET|POST|DELETE) (\/[^ ?]*)/gm)].map(
      ([, method, at]) => `${method} ${at}`,
    );
    const open = signInRoutes({ database: { postgres: {} } } as never);
    const api = routesOf({ database: { postgres: {} }, maxBytes: 1 } as never);
    const there = new Set([...open, ...api].map(({ method, path }) => `${method} ${path}`));
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((one) => !there.has(one))).toEqual([]);
  });
});

const WIRE = new URL('../services/console/src/wire.ts', import.meta.url);
