export * from './clock.ts';
export * from './config.ts';
export * from './logger.ts';
export * from './metrics.ts';
export * from './postgres.ts';
export * from './retry.ts';
export * from './run-service.ts';
export * from './worker-pool.ts';
