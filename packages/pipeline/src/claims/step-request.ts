import { type Completeness, judgeCounterNotice, judgeDmcaNotice, type Missing, type Step } from '@vigil/cases';
import type { CounterNotice, DisputeGroundId, DmcaNotice, Paper, Verdict } from '@vigil/contracts';
import { savePaper } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';

/** What somebody wants done about a claim. What they write themselves is kept in erasable rows. */
export type StepRequest =
  | { do: 'take-down' | 'forward' | 'withdraw' | 'reopen' }
  | { do: 'dismiss' | 'notify-court' | 'complain'; statement?: string | undefined }
  | { do: 'dispute' | 'appeal'; grounds: readonly DisputeGroundId[]; statement?: string | undefined }
  | { do: 'answer-dispute' | 'answer-appeal'; answer: 'uphold' | 'release'; statement?: string | undefined }
  | { do: 'escalate'; notice: DmcaNotice }
  | { do: 'counter-notice'; notice: CounterNotice }
  | { do: 'decide-court'; decidedFor: 'holder' | 'uploader' }
  | { do: 'decide-complaint'; upheld: boolean; statement?: string | undefined };

/** The step with what was written as papers; nothing is written for a step that will be refused. */
export async function stepOf(
  tx: Queryable,
  wanted: StepRequest,
  subject: string,
  now: number,
  keep: boolean,
): Promise<Step> {
  const paper = async (kind: string, content: unknown): Promise<Paper> =>
    keep ? savePaper(tx, { subject, kind, content, now }) : { id: '', digest: '' };
  const written = async (text: string | undefined) => (text?.trim() ? paper(wanted.do, { statement: text }) : null);
  switch (wanted.do) {
    case 'take-down':
    case 'forward':
    case 'reopen':
      return { do: wanted.do };
    case 'withdraw':
      return { do: 'withdraw', cause: 'holder' };
    case 'decide-court':
      return wanted;
    case 'dismiss':
    case 'notify-court':
    case 'complain':
      return { do: wanted.do, paper: await written(wanted.statement) };
    case 'dispute':
    case 'appeal':
      return { do: wanted.do, grounds: wanted.grounds, paper: await written(wanted.statement) };
    case 'answer-dispute':
    case 'answer-appeal':
      return { do: wanted.do, answer: wanted.answer, paper: await written(wanted.statement) };
    case 'decide-complaint':
      return { do: wanted.do, upheld: wanted.upheld, paper: await written(wanted.statement) };
    case 'escalate': {
      const { missing } = judgeDmcaNotice(wanted.notice, 1);
      return { do: 'escalate', notice: await paper('dmca-notice', wanted.notice), missing };
    }
    case 'counter-notice': {
      const { missing }: Completeness = judgeCounterNotice(wanted.notice);
      return { do: 'counter-notice', paper: await paper('counter-notice', wanted.notice), missing };
    }
  }
}

export const lacking = (step: Step): { missing?: Missing[] } =>
  'missing' in step && step.missing.length > 0 ? { missing: [...step.missing] } : {};

export function causeOf(wanted: StepRequest): Verdict['cause'] {
  if (wanted.do === 'withdraw') return 'withdrawal';
  return ['take-down', 'dismiss', 'reopen'].includes(wanted.do) ? 'review' : 'dispute';
}
