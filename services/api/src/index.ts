export { type Api, openApi } from './open-api.ts';
export { OPERATOR_KEY_FILE } from './operator-key.ts';
