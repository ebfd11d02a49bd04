import { randomUUID } from 'node:crypto';
import { type Completeness, EVERYWHERE, judgeDmcaNotice, judgeDsaNotice, type Missing } from '@vigil/cases';
import { type Actor, type DmcaNotice, type DsaNotice, derivedId, type Ground } from '@vigil/contracts';
import {
  type ClaimRow,
  claimsOf,
  findUpload,
  lockNoticesOf,
  noticedSince,
  saveNotice,
  savePaper,
  type UploadRow,
} from '@vigil/database';
import type { Queryable } from '@vigil/runtime';
import { sendAlarm } from '../send-output.ts';
import { compare } from './found-claims.ts';
import { type Ledger, SYSTEM } from './ledger.ts';

const DAY_MS = 24 * 3600 * 1000;

/** A notice by hand, by somebody who needs no reference for it. */
export interface NoticeRequest {
  /** Of the notice, where it may be filed twice: a second one of that id is an error. Default: drawn. */
  id?: string | undefined;
  kind: 'dmca' | 'dsa';
  notice: DmcaNotice | DsaNotice;
  uploads: readonly string[];
  /** Who files it: its cases are this holder's. */
  holder: string;
  /** A registered work, where it is one. */
  work?: string | null | undefined;
  /** DSA Art. 22: looked at first. */
  trustedFlagger?: boolean | undefined;
}

export type NoticeOutcome =
  | { status: 'accepted'; notice: string; cases: string[]; claims: ClaimRow[]; unknownUploads: string[] }
  /** Kept as it came, and nothing is done: the sender is told what it must have. */
  | {
      status: 'incomplete';
      notice: string;
      standing: Exclude<Completeness['standing'], 'complete'>;
      missing: Missing[];
      unknownUploads: string[];
    };

/**
 * A complete notice under 17 USC 512(c)(3) is acted on at once, unless its sender names too much in a day; one under DSA Art. 16 is for a person to decide, and is an open
 * claim until then. The claims of one account on one work join in one case.
 */
export async function fileNotice(
  tx: Queryable,
  about: {
    ledger: Ledger;
    notice: NoticeRequest;
    by: Actor;
    now: number;
    noticedADay: number;
    lockAll(tx: Queryable, uploads: readonly string[]): Promise<Map<string, UploadRow>>;
    settle(upload: string): Promise<void>;
  },
): Promise<NoticeOutcome> {
  const { ledger, notice, by, now, noticedADay, lockAll, settle } = about;
  const known: string[] = [];
  const unknownUploads: string[] = [];
  for (const id of new Set(notice.uploads)) {
    const row = await findUpload(tx, id);
    if (row?.manifest && !row.deleted) known.push(id);
    else unknownUploads.push(id);
  }
  const { standing, missing } =
    notice.kind === 'dmca' ? judgeDmcaNotice(notice.notice, known.length) : judgeDsaNotice(notice.notice, known.length);
  const id = notice.id ?? derivedId('notice', randomUUID());
  const paper = await savePaper(tx, { subject: id, kind: `${notice.kind}-notice`, content: notice.notice, now });
  const work = notice.work ?? null;
  const { kind, holder } = notice;
  if (standing === 'complete') await lockNoticesOf(tx, holder);
  await saveNotice(tx, { id, kind, holder, work, uploads: known, standing, missing, paper: paper.id, receivedAt: now });
  if (standing !== 'complete') return { status: 'incomplete', notice: id, standing, missing, unknownUploads };

  // A sender that went wild, or whose key was stolen, takes down no more than so much: the rest is for a person to look at.
  const flood = kind === 'dmca' && (await noticedSince(tx, holder, now - DAY_MS)) > noticedADay;
  if (flood) {
    const message = `notices of ${holder} named more than ${noticedADay} uploads within a day: what they name waits for a person`;
    const day = Math.floor(now / DAY_MS);
    await sendAlarm(tx, derivedId('ev', holder, 'notice-flood', day), {
      kind: 'notice-flood',
      subject: holder,
      message,
      at: now,
    });
  }
  const rows = await lockAll(tx, known);
  const ground: Ground = kind === 'dmca' ? '512c3-notice' : notice.trustedFlagger ? 'trusted-flagger' : 'dsa-16-notice';
  const claims: ClaimRow[] = [];
  // By account: strikes are locked in that order.
  const inOrder = [...rows.values()].sort((a, b) => compare(a.account ?? '', b.account ?? ''));
  for (const row of inOrder) {
    const claim = await ledger.open(tx, {
      upload: row.id,
      account: row.manifest!.event.account ?? null,
      work: work ?? id,
      holder,
      ground,
      territories: [EVERYWHERE],
      source: { reference: null, version: null, notice: id, decision: null },
      by,
      data: { notice: id, paper },
    });
    const taken = kind === 'dmca' && !flood ? await ledger.take(tx, claim, { do: 'take-down' }, SYSTEM) : null;
    claims.push(taken?.ok ? taken.claim : claim);
  }
  for (const upload of rows.keys()) await settle(upload);
  const ids = claims.map((c) => c.id);
  const settled = (await Promise.all([...rows.keys()].map((u) => claimsOf(tx, u))))
    .flat()
    .filter((c) => ids.includes(c.id));
  return {
    status: 'accepted',
    notice: id,
    cases: [...new Set(settled.map((c) => c.case))],
    claims: settled,
    unknownUploads,
  };
}
