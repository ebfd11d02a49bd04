import { signal } from '@preact/signals';
import { announce } from './announce.tsx';

interface Toast {
  id: number;
  text: string;
  action?: { text: string; key?: string; run(): void };
}

const SHOWN_MS = 8000;
const MOST = 3;
const toasts = signal<Toast[]>([]);
let last = 0;

/** A line in passing, said aloud as well. Returns how to take it away. */
export function toast(
  text: string,
  { action, ms = SHOWN_MS }: { action?: Toast['action']; ms?: number } = {},
): () => void {
  const id = ++last;
  toasts.value = [...toasts.value, { id, text, ...(action ? { action } : {}) }].slice(-MOST);
  announce(action ? `${text} ${action.text}${action.key ? ` with ${action.key}` : ''}.` : text);
  const remove = () => {
    toasts.value = toasts.value.filter((t) => t.id !== id);
  };
  setTimeout(remove, ms);
  return remove;
}

export function Toasts() {
  return (
    <section class="toasts" aria-label="Messages">
      {toasts.value.map(({ id, text, action }) => (
        <div key={id} class="toast">
          <span>{text}</span>
          {action && (
            <button type="button" class="button" onClick={action.run}>
              {action.text} {action.key && <kbd>{action.key}</kbd>}
            </button>
          )}
        </div>
      ))}
    </section>
  );
}
