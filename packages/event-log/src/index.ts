export { checkRecord } from './check-records.ts';
export * from './event-log.ts';
export { type KafkaEventLogOptions, openKafkaEventLog } from './kafka-event-log.ts';
export { lagOf, unreadOf } from './lag.ts';
export { openPostgresEventLog, type PostgresEventLogOptions } from './postgres-event-log.ts';
