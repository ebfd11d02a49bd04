/** Every kind of alarm that stands on `vigil.alarms`. Each has a page of the same name in infra/runbook. */
export const ALARM_KINDS = [
  'incomplete',
  'counter-notice-unforwarded',
  'put-back-late',
  'repeat-infringer',
  'notice-flood',
  'takedown-unacknowledged',
  'restore-unacknowledged',
  'brake-set',
  'canary-red',
  'canary-silent',
  'index-unsound',
  'intake-stopped',
  'dead-letters',
  'webhook-disabled',
] as const;
export type AlarmKind = (typeof ALARM_KINDS)[number];
