export { checkRecord, MAX_HEADER_BYTES, MAX_KEY } from './check-records.ts';
export * from './event-log.ts';
export { type KafkaEventLogOptions, openKafkaEventLog } from './kafka-event-log.ts';
export { lagOf, unreadOf } from './lag.ts';
export { openPostgresEventLog, type PostgresEventLogOptions } from './postgres-event-log.ts';
