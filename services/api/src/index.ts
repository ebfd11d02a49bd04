export { type Api, openApi } from './open-api.ts';
