import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { Case, Claim, HolderStep, UploaderStep } from '../../../src/wire.ts';
import { post, sayError } from '../api.ts';
import { fullDay } from '../format.ts';
import { may } from '../session.ts';
import { announce } from '../ui/announce.tsx';
import { DISPUTE_GROUND } from '../words.ts';

type Choice =
  | {
      side: 'holder';
      text: string;
      hint: string;
      statement?: boolean;
      /** Not offered as what is most likely wanted. */
      last?: boolean;
      step(said: string): HolderStep;
    }
  | {
      side: 'uploader';
      text: string;
      hint: string;
      grounds?: boolean;
      step(said: string, grounds: string[]): UploaderStep;
    };

const said = (statement: string) => (statement.trim() === '' ? {} : { statement: statement.trim() });

/** What each step of `allowed` offers, in the order in which people want them. */
const OFFERS: Record<string, Choice[]> = {
  'answer-dispute': answers('answer-dispute', 'dispute'),
  'answer-appeal': answers('answer-appeal', 'appeal'),
  'take-down': [
    {
      side: 'holder',
      text: 'Take down',
      hint: 'The media are disabled, and the uploader is told why.',
      step: () => ({ do: 'take-down' }),
    },
  ],
  dismiss: [
    {
      side: 'holder',
      text: 'Dismiss',
      hint: 'The claim asks for nothing; the media stay.',
      statement: true,
      step: (s) => ({ do: 'dismiss', ...said(s) }),
    },
  ],
  'decide-complaint': [
    {
      side: 'holder',
      text: 'Complaint is right: restore',
      hint: 'The takedown was wrong; the media come back.',
      statement: true,
      step: (s) => ({ do: 'decide-complaint', upheld: true, ...said(s) }),
    },
    {
      side: 'holder',
      text: 'Complaint is not right',
      hint: 'The takedown stands.',
      statement: true,
      step: (s) => ({ do: 'decide-complaint', upheld: false, ...said(s) }),
    },
  ],
  forward: [
    {
      side: 'holder',
      text: 'Forward the counter-notice',
      hint: 'Send it to whoever sent the notice, and say so here: the media come back 10 business days later, by the 14th at the latest, unless there is an action in court.',
      step: () => ({ do: 'forward' }),
    },
  ],
  'notify-court': [
    {
      side: 'holder',
      text: 'Notify of an action in court',
      hint: 'Nothing is put back until the court has decided.',
      statement: true,
      step: (s) => ({ do: 'notify-court', ...said(s) }),
    },
  ],
  'decide-court': [
    {
      side: 'holder',
      text: 'Court decided for the holder',
      hint: 'The media stay disabled.',
      step: () => ({ do: 'decide-court', decidedFor: 'holder' }),
    },
    {
      side: 'holder',
      text: 'Court decided for the uploader',
      hint: 'The media come back.',
      step: () => ({ do: 'decide-court', decidedFor: 'uploader' }),
    },
  ],
  withdraw: [
    {
      side: 'holder',
      text: 'Withdraw the claim',
      last: true,
      hint: 'It is taken back for good, and the media come back.',
      step: () => ({ do: 'withdraw' }),
    },
  ],
};

function answers(step: 'answer-dispute' | 'answer-appeal', what: string): Choice[] {
  return [
    {
      side: 'holder',
      text: 'Release: restore the media',
      hint: `The ${what} is right. The claim ends and the media come back.`,
      statement: true,
      step: (s) => ({ do: step, answer: 'release', ...said(s) }),
    },
    {
      side: 'holder',
      text: 'Stand by the claim',
      hint: `The ${what} is not right. The media stay disabled, and the uploader is told how to go on.`,
      statement: true,
      step: (s) => ({ do: step, answer: 'uphold', ...said(s) }),
    },
  ];
}

function uploaderOffers({ state, ground }: Claim): Choice[] {
  const complain: Choice = {
    side: 'uploader',
    text: 'Complain',
    hint: 'A person of the platform looks at it (DSA Art. 20).',
    step: (s) => ({ do: 'complain', ...said(s) }),
  };
  if (state === 'taken-down' && ground !== '512c3-notice')
    return [
      {
        side: 'uploader',
        text: 'Dispute',
        hint: 'The holder has to answer; silence gives the media back.',
        grounds: true,
        step: (s, grounds) => ({ do: 'dispute', grounds, ...said(s) }),
      },
      complain,
    ];
  if (state === 'upheld')
    return [
      {
        side: 'uploader',
        text: 'Appeal',
        hint: 'The holder has to answer once more.',
        grounds: true,
        step: (s, grounds) => ({ do: 'appeal', grounds, ...said(s) }),
      },
      complain,
    ];
  return state === 'disputed' || state === 'appealed' || state === 'closed' ? [complain] : [];
}

/** What can be done about a claim now, by whoever looks at it. */
export function Steps({ claim, onChange }: { claim: Claim; onChange(now: Case): void }) {
  const offers = Object.entries(OFFERS).flatMap(([step, choices]) => (claim.allowed.includes(step) ? choices : []));
  const uploader = may('disputes:write') ? uploaderOffers(claim) : [];
  return (
    <div class="stack">
      {offers.length > 0 ? (
        <Offers
          id={`${claim.id}-own`}
          title="What can be done now"
          claim={claim}
          choices={offers}
          onChange={onChange}
        />
      ) : (
        <p class="small quiet">There is nothing for you to do about this claim at this moment.</p>
      )}
      {claim.allowed.includes('escalate') && (
        <p class="small quiet">
          A dispute can also be answered by a notice under 17 USC 512(c)(3): that is done over the API, because it has
          to be signed.
        </p>
      )}
      {uploader.length > 0 && (
        <details class="speak">
          <summary class="small">Speak for the uploader</summary>
          <Offers
            id={`${claim.id}-uploader`}
            title="What the uploader can do"
            claim={claim}
            choices={uploader}
            onChange={onChange}
          />
        </details>
      )}
    </div>
  );
}

function Offers(props: { id: string; title: string; claim: Claim; choices: Choice[]; onChange(now: Case): void }) {
  const { id, title, claim, choices, onChange } = props;
  const chosen = useSignal<number | null>(null);
  const words = useSignal('');
  const grounds = useSignal<string[]>([]);
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);
  const choice = chosen.value === null ? undefined : choices[chosen.value];
  /** What is most likely wanted stands out; taking something back for good never does. */
  const isPrimary = (n: number) =>
    n === 0 && chosen.value === null && choices[n]?.side === 'holder' && !choices[n].last;

  async function send(event: Event): Promise<void> {
    event.preventDefault();
    if (!choice || busy.value) return;
    const wantsGrounds = choice.side === 'uploader' && choice.grounds === true;
    if (wantsGrounds && grounds.value.length === 0) {
      problem.value = 'Choose at least one reason.';
      return;
    }
    busy.value = true;
    try {
      const path = `/v1/cases/${encodeURIComponent(claim.case)}/${choice.side === 'holder' ? 'steps' : 'disputes'}`;
      const step = choice.side === 'holder' ? choice.step(words.value) : choice.step(words.value, grounds.value);
      const now = await post<Case>(path, { ...step, claims: [claim.id] });
      announce(`Done: ${choice.text}.`);
      chosen.value = null;
      words.value = '';
      grounds.value = [];
      problem.value = null;
      onChange(now);
    } catch (error) {
      problem.value = sayError(error);
    } finally {
      busy.value = false;
    }
  }

  return (
    <section class="stack tight" aria-labelledby={`${id} upload-${claim.id}`}>
      <h3 id={id}>{title}</h3>
      <div class="row">
        {choices.map(({ text }, n) => (
          <button
            key={text}
            type="button"
            class={`button ${isPrimary(n) ? 'primary' : ''}`}
            aria-expanded={chosen.value === n}
            onClick={() => {
              chosen.value = chosen.value === n ? null : n;
              problem.value = null;
            }}
          >
            {text}
          </button>
        ))}
      </div>
      {choice && (
        <form class="step-form stack tight" onSubmit={send}>
          <p class="small">{choice.hint}</p>
          {choice.side === 'uploader' && choice.grounds && (
            <Grounds chosen={grounds.value} choose={(g) => (grounds.value = g)} />
          )}
          {(choice.side === 'uploader' || choice.statement) && (
            <Field label="In words (may be left empty)" id={`${id}-words`}>
              <textarea
                id={`${id}-words`}
                class="input"
                maxLength={10_000}
                value={words.value}
                onInput={(event) => (words.value = event.currentTarget.value)}
              />
            </Field>
          )}
          {problem.value && (
            <p class="wrong" role="alert">
              {problem.value}
            </p>
          )}
          <div class="row">
            <button type="submit" class="button primary" disabled={busy.value}>
              {choice.text}
            </button>
            <button type="button" class="button ghost" onClick={() => (chosen.value = null)}>
              Not now
            </button>
          </div>
        </form>
      )}
    </section>
  );
}

function Field({ label, id, children }: { label: string; id: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
    </div>
  );
}

function Grounds({ chosen, choose }: { chosen: string[]; choose(grounds: string[]): void }) {
  return (
    <fieldset class="field">
      <legend>Why it is wrong</legend>
      <div class="grounds">
        {Object.entries(DISPUTE_GROUND).map(([id, text]) => (
          <label key={id} class="check">
            <input
              type="checkbox"
              checked={chosen.includes(id)}
              onChange={(event) =>
                choose(event.currentTarget.checked ? [...chosen, id] : chosen.filter((g) => g !== id))
              }
            />
            {text}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** Whose turn it is and until when. */
export function turnOf(claim: Claim): string | null {
  if (claim.answerBy !== null)
    return `The holder can answer until ${fullDay(claim.answerBy)}; silence gives the media back.`;
  if (claim.putBack && claim.state === 'counter-notice')
    return `Whoever sent the notice still has to get the counter-notice. The media come back by ${fullDay(claim.putBack.until)} at the latest.`;
  if (claim.putBack) return `The media come back from ${fullDay(claim.putBack.from)}, unless a court is asked.`;
  return null;
}
