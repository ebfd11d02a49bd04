export * from './door.ts';
export * from './start.ts';
