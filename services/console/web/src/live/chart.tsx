import { useSignal } from '@preact/signals';
import { count } from '../format.ts';

const HOUR = 60;
const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });

/** Sixty minutes as bars of its own scale; a pointer or the arrow keys read single ones. */
export function Minutes(props: {
  name: string;
  values: readonly number[];
  from: number;
  tone: 'ink' | 'accent' | 'bad';
}) {
  const { name, values, from, tone } = props;
  const at = useSignal<number | null>(null);
  const most = Math.max(4, ...values);
  const sum = values.reduce((a, b) => a + b, 0);
  const shown = at.value;
  const label = `${name}: ${count(sum)} in the last hour, at most ${count(Math.max(0, ...values))} a minute`;
  const point = (event: PointerEvent & { currentTarget: HTMLElement }) => {
    const box = event.currentTarget.getBoundingClientRect();
    at.value = Math.min(HOUR - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * HOUR)));
  };
  return (
    <figure class={`minutes tone-${tone}`}>
      <figcaption class="row apart small">
        <span>{name}</span>
        <span class="quiet num">
          {shown === null
            ? `${count(sum)} in an hour`
            : `${time.format(from + shown * 60_000)}: ${count(values[shown] ?? 0)}`}
        </span>
      </figcaption>
      <div class="bars" role="img" aria-label={label} onPointerMove={point} onPointerLeave={() => (at.value = null)}>
        <svg viewBox={`0 0 ${HOUR} 100`} preserveAspectRatio="none" aria-hidden="true">
          {values.map((n, minute) => (
            <rect
              key={minute}
              class={shown === minute ? 'on' : ''}
              x={minute + 0.12}
              width={0.76}
              y={100 - (100 * n) / most}
              height={(100 * n) / most}
            />
          ))}
        </svg>
        <span class="scale num" aria-hidden="true">
          {count(most)}
        </span>
      </div>
      <div class="row apart small quiet num" aria-hidden="true">
        <span>{time.format(from)}</span>
        <span>{time.format(from + HOUR * 60_000)}</span>
      </div>
    </figure>
  );
}
