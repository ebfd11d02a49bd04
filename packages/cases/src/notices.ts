import type { CounterNotice, DmcaNotice, DsaNotice } from '@vigil/contracts';

/** One thing that the law asks for and that is not there. */
export interface Missing {
  field: string;
  /** Completes "The notice must have ...". */
  needs: string;
  law: string;
}

/**
 * complete: it is acted on. substantially-complete: not yet, and the sender is asked for the rest, as 17 USC 512(c)(3)(B)(ii)
 * has it. defective: it counts as if it had not been sent (B)(i), and the sender is told so.
 */
export interface Completeness {
  standing: 'complete' | 'substantially-complete' | 'defective';
  missing: Missing[];
}

interface Element<Field extends string = string> extends Missing {
  field: Field;
  /** Without it there is nothing to go on. */
  essential: boolean;
}

const NOTICE = '17 USC 512(c)(3)(A)';
/** (B)(ii) names (ii), (iii) and (iv): which work, where, and whom to ask. What else is missing can be asked for. */
const DMCA: readonly Element<keyof DmcaNotice>[] = [
  { field: 'signature', needs: 'a physical or electronic signature', law: `${NOTICE}(i)`, essential: false },
  { field: 'work', needs: 'the work that is infringed, or a list of works', law: `${NOTICE}(ii)`, essential: true },
  { field: 'name', needs: 'the name of whoever complains', law: `${NOTICE}(iv)`, essential: false },
  { field: 'address', needs: 'an address', law: `${NOTICE}(iv)`, essential: false },
  { field: 'phone', needs: 'a telephone number', law: `${NOTICE}(iv)`, essential: false },
  { field: 'email', needs: 'an e-mail address', law: `${NOTICE}(iv)`, essential: false },
  {
    field: 'goodFaith',
    needs: 'a statement of good-faith belief that the use is not authorised',
    law: `${NOTICE}(v)`,
    essential: false,
  },
  {
    field: 'accurate',
    needs: 'a statement that it is accurate and, under penalty of perjury, that the sender may act for the owner',
    law: `${NOTICE}(vi)`,
    essential: false,
  },
];
const REACHED_BY = ['address', 'phone', 'email'] as const;

/** `material`: how many uploads it names that exist. */
export function judgeDmcaNotice(notice: DmcaNotice, material: number): Completeness {
  const missing = missingOf(notice, DMCA);
  if (material === 0) {
    missing.unshift({ field: 'uploads', needs: 'the material, and where it is', law: `${NOTICE}(iii)` });
  }
  return standingOf(missing, DMCA, material > 0 && REACHED_BY.some((field) => present(notice[field])));
}

const ARTICLE = 'Regulation (EU) 2022/2065, Art. 16(2)';
const DSA: readonly Element<keyof DsaNotice>[] = [
  { field: 'explanation', needs: 'an explanation of why it is illegal', law: `${ARTICLE}(a)`, essential: true },
  { field: 'name', needs: 'the name of whoever notifies', law: `${ARTICLE}(c)`, essential: false },
  { field: 'email', needs: 'an e-mail address', law: `${ARTICLE}(c)`, essential: false },
  { field: 'goodFaith', needs: 'a statement of bona fide belief', law: `${ARTICLE}(d)`, essential: false },
];

export function judgeDsaNotice(notice: DsaNotice, material: number): Completeness {
  const missing = missingOf(notice, DSA);
  if (material === 0) missing.unshift({ field: 'uploads', needs: 'its electronic location', law: `${ARTICLE}(b)` });
  return standingOf(missing, DSA, material > 0);
}

const COUNTER = '17 USC 512(g)(3)';
const COUNTER_ELEMENTS: readonly Element<keyof CounterNotice>[] = [
  { field: 'signature', needs: 'a physical or electronic signature', law: `${COUNTER}(A)`, essential: true },
  {
    field: 'mistake',
    needs: 'a statement under penalty of perjury that it was removed by mistake or misidentification',
    law: `${COUNTER}(C)`,
    essential: true,
  },
  { field: 'name', needs: 'the name of the subscriber', law: `${COUNTER}(D)`, essential: false },
  { field: 'address', needs: 'an address', law: `${COUNTER}(D)`, essential: false },
  { field: 'phone', needs: 'a telephone number', law: `${COUNTER}(D)`, essential: false },
  {
    field: 'consent',
    needs: 'consent to the jurisdiction of the court and to service of process',
    law: `${COUNTER}(D)`,
    essential: true,
  },
];

/** The material and where it was, (B), is the claim that it is sent about. */
export function judgeCounterNotice(notice: CounterNotice): Completeness {
  const missing = missingOf(notice, COUNTER_ELEMENTS);
  return standingOf(missing, COUNTER_ELEMENTS, true);
}

function standingOf(missing: Missing[], elements: readonly Element[], usable: boolean): Completeness {
  if (missing.length === 0) return { standing: 'complete', missing };
  const lacks = elements.some((e) => e.essential && missing.some((m) => m.field === e.field));
  return { standing: usable && !lacks ? 'substantially-complete' : 'defective', missing };
}

/** A statement is there when it was made (true), a text when there is something in it. */
const present = (value: unknown): boolean => (typeof value === 'string' ? value.trim() !== '' : value === true);

const missingOf = (notice: object, elements: readonly Element[]): Missing[] =>
  elements
    .filter(({ field }) => !present((notice as Record<string, unknown>)[field]))
    .map(({ field, needs, law }) => ({ field, needs, law }));
