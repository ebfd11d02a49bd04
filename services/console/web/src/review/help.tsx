import { Dialog } from '../ui/dialog.tsx';
import { keysOn, setKeys } from '../ui/keys.ts';

const KEYS: [string, [string[], string][]][] = [
  [
    'Decide',
    [
      [['T', 'Enter'], 'take it down'],
      [['D', 'Enter'], 'dismiss it'],
      [['S', '1 … 6'], 'skip it, with a reason'],
      [['U'], 'undo the last decision'],
      [['Esc'], 'think again'],
    ],
  ],
  [
    'Look',
    [
      [['Space'], 'play or pause both'],
      [['←', '→'], 'a little back or on; with Shift more'],
      [['[', ']'], 'to the moment before or after'],
      [['O'], 'outlines on or off'],
    ],
  ],
  [
    'Go',
    [
      [['G', 'R'], 'review; G C cases, G L library, G V live'],
      [['?'], 'this help'],
    ],
  ],
];

export function Help({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      {KEYS.map(([title, keys]) => (
        <section key={title} class="stack tight">
          <h3>{title}</h3>
          <dl class="keys small">
            {keys.map(([pressed, does]) => (
              <div key={does}>
                <dt>
                  {pressed.map((key, n) => (
                    <span key={key}>
                      {n > 0 && ' '}
                      <kbd>{key}</kbd>
                    </span>
                  ))}
                </dt>
                <dd class="quiet">{does}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <label class="check">
        <input type="checkbox" checked={keysOn.value} onChange={(event) => setKeys(event.currentTarget.checked)} />
        Single letters as keys. Switch them off when they get in the way of speech input; all of it works by Tab and
        Enter as well.
      </label>
    </Dialog>
  );
}
