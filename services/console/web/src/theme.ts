import { effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';
const STORE = 'vigil-theme';
const stored = localStorage.getItem(STORE);

/** auto: as the system has it. */
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'auto');

effect(() => {
  const root = document.documentElement;
  if (theme.value === 'auto') delete root.dataset.theme;
  else root.dataset.theme = theme.value;
  localStorage.setItem(STORE, theme.value);
});

export const nextTheme = (): void => {
  theme.value = ({ auto: 'dark', dark: 'light', light: 'auto' } as const)[theme.value];
};
