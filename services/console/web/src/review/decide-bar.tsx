import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { ReviewDecision, ReviewItem, SkipReason } from '../../../src/wire.ts';
import { announce } from '../ui/announce.tsx';
import { Icon } from '../ui/icon.tsx';
import { type Keys, useKeys } from '../ui/keys.ts';
import { SKIP } from '../words.ts';
import { decide, undo, undoable } from './hand.ts';

type Armed = 'take-down' | 'dismiss' | 'skip' | null;

const ASKS = {
  'take-down': 'Take it down? Its media are disabled, and the uploader is told why and what to do about it.',
  dismiss: 'Dismiss? The media stay, and this claim asks for nothing.',
  skip: 'Why not now? It goes back to the queue, and the next one sees the reason.',
};
const REASONS = Object.keys(SKIP) as SkipReason[];

/** Two keystrokes a decision: what, and that it is meant. One bar an item (by its `key`): what was armed for one is not for the next. */
export function DecideBar({ item }: { item: ReviewItem }) {
  const armed = useSignal<Armed>(null);
  const confirm = useRef<HTMLButtonElement>(null);
  const what = armed.value;
  const can = {
    'take-down': item.allowed.includes('take-down'),
    dismiss: item.allowed.includes('dismiss'),
    skip: true,
  };

  const arm = (wanted: Exclude<Armed, null>) => {
    if (!can[wanted]) return;
    armed.value = wanted;
    announce(`${ASKS[wanted]} ${wanted === 'skip' ? 'Press a number.' : 'Enter confirms, Escape goes back.'}`);
  };
  const back = () => {
    armed.value = null;
  };
  const send = (decision: ReviewDecision) => {
    armed.value = null;
    void decide(item, decision);
  };
  useEffect(() => {
    if (what !== null) confirm.current?.focus();
  }, [what]);

  const confirming = (now: Armed): Keys => {
    if (now === null) return {};
    if (now !== 'skip') return { Enter: () => send({ decision: now }) };
    return Object.fromEntries(REASONS.map((reason, n) => [`${n + 1}`, () => send({ decision: 'skip', reason })]));
  };
  useKeys(() => ({
    t: () => arm('take-down'),
    d: () => arm('dismiss'),
    s: () => arm('skip'),
    u: () => void undo(),
    Escape: back,
    ...confirming(armed.peek()),
  }));

  return (
    <section class={`decide ${what ?? ''}`} aria-label="Decide">
      {what === null && (
        <div class="row">
          <button type="button" class="button primary" disabled={!can['take-down']} onClick={() => arm('take-down')}>
            Take down <kbd>T</kbd>
          </button>
          <button type="button" class="button" disabled={!can.dismiss} onClick={() => arm('dismiss')}>
            Dismiss <kbd>D</kbd>
          </button>
          <button type="button" class="button" onClick={() => arm('skip')}>
            Skip <kbd>S</kbd>
          </button>
          {undoable.value.length > 0 && (
            <button type="button" class="button ghost" onClick={() => void undo()}>
              <Icon name="undo" size={16} /> Undo <kbd>U</kbd>
            </button>
          )}
          <p class="small keys-hint">
            Two keys decide: what, then <kbd>Enter</kbd>. <kbd>?</kbd> shows all of them.
          </p>
        </div>
      )}
      {(what === 'take-down' || what === 'dismiss') && (
        <div class="row">
          <button ref={confirm} type="button" class="button primary" onClick={() => send({ decision: what })}>
            {what === 'take-down' ? 'Yes, take down' : 'Yes, dismiss'} <kbd>Enter</kbd>
          </button>
          <button type="button" class="button" onClick={back}>
            Back <kbd>Esc</kbd>
          </button>
          <p class="small">{ASKS[what]}</p>
        </div>
      )}
      {what === 'skip' && (
        <div class="stack tight">
          <p class="small">{ASKS.skip}</p>
          <div class="row">
            {REASONS.map((reason, n) => (
              <button
                key={reason}
                ref={n === 0 ? confirm : null}
                type="button"
                class="button"
                onClick={() => send({ decision: 'skip', reason })}
              >
                <kbd>{n + 1}</kbd> {SKIP[reason]}
              </button>
            ))}
            <button type="button" class="button ghost" onClick={back}>
              Back <kbd>Esc</kbd>
            </button>
          </div>
        </div>
      )}
    </section>
  );
}
