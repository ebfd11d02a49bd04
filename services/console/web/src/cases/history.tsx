import type { CaseEvent } from '../../../src/wire.ts';
import { fullTime } from '../format.ts';
import { When } from '../ui/parts.tsx';
import { ROLE, readable, SKIP } from '../words.ts';

/** What each kind of event is called; `by` is who. Others are shown by their own name. */
const KINDS: Record<string, (by: string, data: Record<string, unknown>) => string> = {
  opened: () => 'The case was opened',
  open: () => 'A copy was found',
  found: () => 'A copy was found',
  'take-down': (by) => `${by} took it down`,
  takedown: () => 'The takedown was sent to the platform',
  restore: () => 'The media were restored: sent to the platform',
  dispute: (by) => `${by} disputed it`,
  'answer-dispute': (by, data) =>
    data.answer === 'release' ? `${by} released it: the dispute is right` : `${by} stands by the claim`,
  appeal: (by) => `${by} appealed`,
  'answer-appeal': (by, data) =>
    data.answer === 'release' ? `${by} released it: the appeal is right` : `${by} stands by the claim`,
  silence: () => 'Nobody answered in time: the claim was released',
  complain: (by) => `${by} complained`,
  'decide-complaint': (by, data) => `${by} decided the complaint: ${data.upheld ? 'it is right' : 'it is not right'}`,
  dismiss: (by) => `${by} dismissed it: it asks for nothing`,
  reopen: (by) => `${by} took the decision back`,
  'ask-again': () => 'A policy asks for it again',
  skip: (by, data) =>
    `${by} left it for somebody else: ${SKIP[data.reason as keyof typeof SKIP]?.toLowerCase() ?? 'no reason'}`,
  withdraw: (by) => `${by} withdrew the claim`,
  strike: () => 'A strike was counted against the account',
  pictures: () => 'Frames of both were kept as evidence',
  erased: (by, data) =>
    `${by} erased what was written${data.notice ? ' in the notice' : ''}${typeof data.why === 'string' ? `: ${data.why}` : ''}`,
  acknowledged: () => 'The platform confirmed it',
};

export function History({ events }: { events: readonly CaseEvent[] }) {
  return (
    <ol class="history">
      {events.map((event) => {
        const words = KINDS[event.kind];
        const by = ROLE[event.by.role] ?? event.by.role;
        return (
          <li key={event.seq} class={`kind-${event.kind}`}>
            <span class="small">
              {words ? words(by, event.data) : `${readable(event.kind)}, by ${by.toLowerCase()}`}
            </span>
            <span class="quiet small" title={fullTime(event.at)}>
              <When at={event.at} />
              {event.by.id && event.by.role !== 'system' ? ` · ${event.by.id}` : ''}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
