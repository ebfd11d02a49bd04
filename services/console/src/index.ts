export { BUILT, openPage, type Page } from './open-page.ts';
