import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { PagedList } from '../list.ts';

const OVERSCAN = 8;

/**
 * Rows of one height, of which only those in sight are in the page: a hundred thousand are as quick as a hundred. Reads on when the
 * end comes near.
 */
export function VirtualList<T>(props: {
  list: PagedList<T>;
  label: string;
  /** Pixels, on a wide and on a narrow page. */
  rowHeight: [wide: number, narrow: number];
  idOf(item: T): string;
  row(item: T): ComponentChildren;
}) {
  const { list, label, idOf, row } = props;
  const rows = useRef<HTMLUListElement>(null);
  const [range, setRange] = useState<[number, number]>([0, 30]);
  const [narrow, setNarrow] = useState(false);
  const height = props.rowHeight[narrow ? 1 : 0];
  const items = list.items.value;

  useEffect(() => {
    const scroller = rows.current?.closest('main');
    const element = rows.current;
    if (!scroller || !element) return;
    const look = () => {
      setNarrow(innerWidth <= 640);
      const above = scroller.getBoundingClientRect().top - element.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(above / height) - OVERSCAN);
      const last = Math.ceil((above + scroller.clientHeight) / height) + OVERSCAN;
      setRange((was) => (was[0] === first && was[1] === last ? was : [first, Math.max(last, OVERSCAN)]));
    };
    look();
    scroller.addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      scroller.removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [height]);
  const nearEnd = range[1] >= items.length - OVERSCAN;
  useEffect(() => {
    if (nearEnd && list.state.value === 'ready' && list.more.value) void list.next();
    // Pages that hold nothing new make it no longer, and are read past all the same.
  }, [nearEnd, items, list.more.value, list]);

  const [first, last] = [Math.min(range[0], Math.max(0, items.length - 1)), Math.min(range[1], items.length)];
  return (
    <>
      <ul ref={rows} class="rows" aria-label={label} style={{ height: `${items.length * height}px` }}>
        {items.slice(first, last).map((item, n) => (
          <li
            key={idOf(item)}
            style={{ transform: `translateY(${(first + n) * height}px)`, height: `${height}px` }}
            aria-setsize={list.more.value ? -1 : items.length}
            aria-posinset={first + n + 1}
          >
            {row(item)}
          </li>
        ))}
      </ul>
      {list.state.value === 'failed' && (
        <div class="row rows-foot">
          <span class="quiet small">{list.problem.value}</span>
          <button type="button" class="button" onClick={() => void list.next()}>
            Try again
          </button>
        </div>
      )}
    </>
  );
}
