import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { bytes, percent } from '../format.ts';
import { session } from '../session.ts';
import { Icon } from '../ui/icon.tsx';
import { send, type Transfer, transfers } from './transfers.ts';

/** Whose it is when an operator names nobody, as with POST /v1/references. */
const OWN_HOLDER = 'operator';

/** Where files are dropped or chosen. The whole view takes them while something is dragged over it. */
export function DropZone({ work, title }: { work?: string; title?: string }) {
  const over = useSignal(false);
  const holder = useSignal('');
  const chooser = useRef<HTMLInputElement>(null);
  const asksHolder = session.value?.holder == null && work === undefined;
  const take = (files: FileList | null | undefined) => {
    if (!files || files.length === 0) return;
    send([...files], { work, ...(asksHolder ? { holder: holder.value.trim() || OWN_HOLDER } : {}) });
  };
  const taking = useRef(take);
  taking.current = take;
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const drag = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      over.value = true;
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) over.value = false;
    };
    const drop = (event: DragEvent) => {
      over.value = false;
      if (!hasFiles(event)) return;
      event.preventDefault();
      taking.current(event.dataTransfer?.files);
    };
    addEventListener('dragover', drag);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', drag);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, []);
  return (
    <section class={`drop ${over.value ? 'over' : ''}`} aria-label="Add references">
      <Icon name="upload" size={26} />
      <div class="drop-words">
        <p>
          <strong>{work ? `Drop more files of ${title} here` : 'Drop films and pictures here to protect them'}</strong>
        </p>
        <p class="hint">
          {work ? 'Each becomes another reference of this work.' : 'Each becomes a work of its own.'} An upload that was
          cut off goes on when the same file is dropped again.
        </p>
      </div>
      {asksHolder && (
        <label class="drop-holder">
          <span class="small quiet">For which holder</span>
          <input
            class="input"
            value={holder.value}
            placeholder={OWN_HOLDER}
            maxLength={200}
            onInput={(event) => {
              holder.value = event.currentTarget.value;
            }}
          />
        </label>
      )}
      <button type="button" class="button primary" onClick={() => chooser.current?.click()}>
        Choose files
      </button>
      <input
        ref={chooser}
        type="file"
        multiple
        hidden
        accept="video/*,image/*"
        onChange={(event) => {
          take(event.currentTarget.files);
          event.currentTarget.value = '';
        }}
      />
    </section>
  );
}

const STATES: Record<Transfer['state']['value'], string> = {
  waiting: 'waits for its turn',
  sending: 'is being sent',
  paused: 'paused',
  joining: 'is being put together',
  done: 'has arrived; it is read now and appears below',
  failed: 'was not sent',
};

export function Transfers() {
  if (transfers.value.length === 0) return null;
  return (
    <section class="panel" aria-labelledby="transfers-title">
      <div class="panel-head">
        <h2 id="transfers-title">On their way</h2>
      </div>
      <ul class="transfers">
        {transfers.value.map((t) => (
          <Row key={t.id} transfer={t} />
        ))}
      </ul>
    </section>
  );
}

function Row({ transfer }: { transfer: Transfer }) {
  const { name, size, sent, state, problem, pause, resume, cancel } = transfer;
  const share = size > 0 ? sent.value / size : 0;
  const going = state.value === 'sending' || state.value === 'waiting';
  return (
    <li class="transfer">
      <div class="row apart">
        <strong class="clip">{name}</strong>
        <span class="num quiet small nowrap">
          {state.value === 'done' ? bytes(size) : `${bytes(sent.value)} of ${bytes(size)}, ${percent(share)}`}
        </span>
      </div>
      <div
        class="bar"
        role="progressbar"
        aria-label={name}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
      >
        <i style={{ width: `${share * 100}%` }} />
      </div>
      <div class="row apart">
        <span class={`small ${state.value === 'failed' ? 'bad-ink' : 'quiet'}`}>
          {problem.value ? `${STATES.failed}: ${problem.value}` : STATES[state.value]}
        </span>
        <span class="row">
          {going && (
            <button type="button" class="button ghost" onClick={pause}>
              Pause
            </button>
          )}
          {(state.value === 'paused' || state.value === 'failed') && (
            <button type="button" class="button" onClick={resume}>
              Go on
            </button>
          )}
          <button
            type="button"
            class="button ghost"
            aria-label={`${state.value === 'done' ? 'Hide' : 'Cancel'} ${name}`}
            onClick={cancel}
          >
            {state.value === 'done' ? 'Hide' : 'Cancel'}
          </button>
        </span>
      </div>
    </li>
  );
}
