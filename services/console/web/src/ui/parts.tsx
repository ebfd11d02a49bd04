import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { tick } from '../clock.ts';
import { fullTime, relative } from '../format.ts';
import type { Tone } from '../words.ts';
import { Icon, type IconName } from './icon.tsx';

export function Badge({ tone = '', children, title }: { tone?: Tone; children: ComponentChildren; title?: string }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

/** "3 s ago", growing older by itself, with the full time behind it. */
export function When({ at }: { at: number }) {
  return (
    <time class="num nowrap" dateTime={new Date(at).toISOString()} title={fullTime(at)}>
      {relative(at, tick.value)}
    </time>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} size={36} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Failed({ what, problem, retry }: { what: string; problem: string; retry(): void }) {
  return (
    <div class="empty" role="alert">
      <h2>{what}</h2>
      <p>{problem}</p>
      <button type="button" class="button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}

/** Of a view: takes the focus when it is gone to, so that a screen reader begins there; names the tab. */
export function Title({ children, name }: { children?: ComponentChildren; name: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${name} · Vigil`;
    heading.current?.focus({ preventScroll: true });
  }, [name]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children ?? name}
    </h1>
  );
}

export function Back({ to, children }: { to: string; children: ComponentChildren }) {
  return (
    <a class="back" href={to}>
      <Icon name="back" size={15} />
      {children}
    </a>
  );
}
