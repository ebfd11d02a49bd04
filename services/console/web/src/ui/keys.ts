import { signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';

/** Single keys can be in the way of speech input and of other tools, so they can be switched off (WCAG 2.1.4). */
const STORE = 'vigil-keys';
export const keysOn = signal(localStorage.getItem(STORE) !== 'off');
export function setKeys(on: boolean): void {
  keysOn.value = on;
  localStorage.setItem(STORE, on ? 'on' : 'off');
}

export type Keys = Record<string, (event: KeyboardEvent) => void>;

/**
 * Keys of a view, by `KeyboardEvent.key` in lower case. Nothing while somebody types, or while a dialog is open.
 * @param keys asked at each press, which may come sooner than what the last one changed is drawn
 */
export function useKeys(keys: () => Keys): void {
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const { target } = event;
      if (target instanceof HTMLElement && isTyping(target)) return;
      if (document.querySelector('dialog[open]')) return;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const run = keys()[name];
      if (!run || (!keysOn.peek() && name.length === 1)) return;
      // A button or link that has the focus is what Enter and the space bar are for.
      if ((name === 'Enter' || name === ' ') && target instanceof Element && target.closest('button, a, summary'))
        return;
      event.preventDefault();
      run(event);
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  });
}

function isTyping(element: HTMLElement): boolean {
  if (element.isContentEditable || /^(TEXTAREA|SELECT)$/.test(element.tagName)) return true;
  return element instanceof HTMLInputElement && !/^(checkbox|radio|range|button)$/.test(element.type);
}
