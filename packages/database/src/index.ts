export * from './actions.ts';
export * from './again-runs.ts';
export * from './audit.ts';
export * from './brakes.ts';
export { canonical } from './canonical.ts';
export * from './cases.ts';
export * from './claims.ts';
export * from './conflicts.ts';
export * from './dead-letters.ts';
export { type EmbeddedPostgres, findRunningPostgres, openEmbeddedPostgres, openTemporaryPostgres } from './embedded.ts';
export * from './evidence.ts';
export * from './figures.ts';
export { FolderInUse, lockDataFolder } from './folder-lock.ts';
export * from './idempotency.ts';
export * from './judged-before.ts';
export * from './keys.ts';
export * from './layouts.ts';
export * from './live.ts';
export * from './look-backs.ts';
export * from './matches.ts';
export { migrate, schemaOf } from './migrate.ts';
export * from './notices.ts';
export * from './open-database.ts';
export {
  enqueue,
  OUTBOX_CHANNEL,
  type OutboxEntry,
  type OutboxEvent,
  outboxLag,
  publishedEvents,
  purgeOutbox,
  relayBatch,
} from './outbox.ts';
export * from './papers.ts';
export * from './pictures.ts';
export * from './policies.ts';
export { PROBES, probeServer, type ServerFacts } from './probe-server.ts';
export * from './reference-uploads.ts';
export * from './references.ts';
export * from './removals.ts';
export * from './replicas.ts';
export * from './reports.ts';
export * from './retention.ts';
export * from './reviews.ts';
export * from './sessions.ts';
export * from './strikes.ts';
export * from './timers.ts';
export * from './trace.ts';
export * from './uploads.ts';
export * from './webhooks.ts';
export * from './witnesses.ts';
export * from './works.ts';
