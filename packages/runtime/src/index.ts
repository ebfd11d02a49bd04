export * from './clock.ts';
export * from './counters.ts';
export * from './logger.ts';
export * from './postgres.ts';
export * from './retry.ts';
