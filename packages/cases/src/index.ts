export * from './calendar.ts';
export * from './claim.ts';
export * from './grounds.ts';
export * from './notices.ts';
export * from './statement.ts';
export * from './steps.ts';
export * from './terms.ts';
