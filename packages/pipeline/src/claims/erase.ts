import type { Actor } from '@vigil/contracts';
import { claimsByNotice, claimsOfCase, erasePapers, forgetAnswers, papersOf } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';
import type { Ledger } from './ledger.ts';

export interface Erasure {
  /** A case, a notice by hand, or a conflict. */
  subject: string;
  /** One of its papers; else all. */
  paper?: string | undefined;
  /** Stays for ever: nothing personal. */
  why: string;
}

export type ErasureOutcome =
  /** Those that had still something in them. */
  | { status: 'done'; papers: string[] }
  | { status: 'refused'; why: string }
  /** It has no such paper. */
  | { status: 'unknown' };

/**
 * What people wrote is gone; the chain of the case, or of each case that rests on the notice, remembers that it is, when, by whom and
 * why. A conflict has no chain: its messages remember it themselves. Answers that were kept for requests that are sent again repeat it,
 * so they go as well.
 */
export async function erase(
  tx: Queryable,
  { subject, paper, why }: Erasure,
  { ledger, by, now }: { ledger: Ledger; by: Actor; now: number },
): Promise<ErasureOutcome> {
  const papers = (await papersOf(tx, subject)).filter((p) => paper === undefined || p.id === paper);
  if (paper !== undefined && papers.length === 0) return { status: 'unknown' };
  const personal = personalIn(
    why,
    papers.map((p) => p.content),
  );
  if (personal) return { status: 'refused', why: `the reason stays for ever, and ${personal}` };
  const gone = await erasePapers(tx, { subject, paper }, { at: now, by: by.id ?? by.role, why });
  if (gone.length === 0) return { status: 'done', papers: [] };
  await forgetAnswers(tx, subject);
  const resting = await claimsByNotice(tx, subject);
  const [own] = await claimsOfCase(tx, subject);
  const data = { papers: gone, why };
  if (own) await ledger.note(tx, own, { kind: 'erased', data, claim: null }, by);
  for (const claim of resting)
    await ledger.note(tx, claim, { kind: 'erased', data: { ...data, notice: subject }, claim: null }, by);
  return { status: 'done', papers: gone };
}

const E_MAIL = /[^\s@]@[^\s@]+\.\w/;
/** Shorter words are in every sentence. */
const TELLING = 3;

/** What is personal in a reason, as far as a program can see: an address, or words of what is to be erased. */
function personalIn(why: string, contents: readonly unknown[]): string | null {
  if (E_MAIL.test(why)) return 'has an e-mail address in it: give the number of the request instead';
  const said = why.toLowerCase();
  const words = new Set(wordsOf(said));
  const repeated = contents
    .flatMap((content) => textsIn(content))
    .find(({ name, text }) =>
      /name|signature/i.test(name)
        ? wordsOf(text.toLowerCase()).some((word) => word.length >= TELLING && words.has(word))
        : text.trim().length >= TELLING && said.includes(text.trim().toLowerCase()),
    );
  return repeated ? `repeats words of what is to be erased (${repeated.name}): say it without them` : null;
}

const wordsOf = (text: string): string[] => text.split(/[^\p{L}\p{N}]+/u);

/** Every text in it, with the name of the member that it stands under. */
function textsIn(content: unknown, name = 'text'): { name: string; text: string }[] {
  if (typeof content === 'string') return [{ name, text: content }];
  if (content === null || typeof content !== 'object') return [];
  return Object.entries(content).flatMap(([key, value]) => textsIn(value, Array.isArray(content) ? name : key));
}
