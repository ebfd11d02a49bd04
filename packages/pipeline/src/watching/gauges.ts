import { ALARM_KINDS, ENGINE_VERSION, TOPICS } from '@vigil/contracts';
import { type Database, figuresOf, lookBackLag } from '@vigil/database';
import { BRAKES } from '@vigil/decision';
import type { EventLog } from '@vigil/event-log';
import type { Clock, Metrics, Reading } from '@vigil/runtime';
import { type Environment, REACHABLE } from '../environment.ts';
import type { Lanes } from '../lanes.ts';
import type { Library } from '../library.ts';
import { queueOf, type Reader } from '../readers.ts';
import type { Disks } from './disks.ts';
import type { StatusReader, WatchView } from './status.ts';

export interface GaugeDeps {
  metrics: Metrics;
  log: EventLog;
  database: Database;
  environment: Pick<Environment, 'checks'>;
  disks: Disks;
  lanes: Lanes;
  /** null where nothing is matched. */
  library: Library | null;
  /** That this process runs. */
  readers: readonly Reader[];
  status: StatusReader;
  watch: { view(): Promise<WatchView> } | null;
  clock: Clock;
  /** What belongs to no process is told by those that decide. */
  tellsWhole: boolean;
  about: { version: string; roles: string };
  ackSeconds: number;
}

/** What is asked for when somebody looks at the metrics: states, where counters count what happened. */
export function gatherGauges(deps: GaugeDeps): void {
  const { metrics, log, environment, disks, lanes, library, readers, clock, about } = deps;
  // A counter that begins with its first event has not risen, for those who ask by how much it has.
  for (const { name } of Object.values(TOPICS)) metrics.add('vigil_dead_letters_total', { topic: name }, 0);
  for (const { name } of readers) {
    for (const outcome of ['done', 'skipped', 'rejected', 'retry'])
      metrics.add('vigil_stage_events_total', { stage: name, outcome }, 0);
  }
  if (deps.tellsWhole) for (const kind of ALARM_KINDS) metrics.add('vigil_alarms_total', { kind }, 0);

  metrics.gather('info', ['vigil_info'], () => [
    ['vigil_info', 1, { version: about.version, engine: ENGINE_VERSION, node: process.version, roles: about.roles }],
  ]);
  metrics.gather('health', ['vigil_ready'], async () => {
    const checks = Object.values(await environment.checks());
    return [['vigil_ready', checks.every((c) => c === REACHABLE) ? 1 : 0, {}]];
  });
  metrics.gather('disks', ['vigil_disk_free_bytes', 'vigil_disk_size_bytes', 'vigil_intake_stopped'], async () => [
    ...(await disks.look()).flatMap(({ disk, freeBytes, sizeBytes }): DiskReading[] => [
      ['vigil_disk_free_bytes', freeBytes, { disk }],
      ['vigil_disk_size_bytes', sizeBytes, { disk }],
    ]),
    ['vigil_intake_stopped', disks.stopped() ? 1 : 0, {}],
  ]);
  metrics.gather('queues', ['vigil_stage_queue_events', 'vigil_stage_lag_seconds'], async () => {
    const queues = await Promise.all(readers.map((reader) => queueOf(log, reader, clock.now())));
    return queues.flatMap(({ stage, waiting, behindSeconds }): QueueReading[] => [
      ['vigil_stage_queue_events', waiting, { stage }],
      ['vigil_stage_lag_seconds', behindSeconds, { stage }],
    ]);
  });
  metrics.gather('lanes', ['vigil_lane_waiting'], () =>
    Object.entries(lanes.waiting()).map(([lane, n]) => ['vigil_lane_waiting', n, { lane }]),
  );
  if (library) gatherLibrary(metrics, library, clock);
  if (deps.tellsWhole) gatherWhole(deps);
}

type DiskReading = Extract<Reading, ['vigil_disk_free_bytes' | 'vigil_disk_size_bytes', ...unknown[]]>;
type QueueReading = Extract<Reading, ['vigil_stage_queue_events' | 'vigil_stage_lag_seconds', ...unknown[]]>;

const INDEX = [
  'vigil_index_codes',
  'vigil_index_references',
  'vigil_index_bytes',
  'vigil_index_behind_seconds',
] as const;

function gatherLibrary(metrics: Metrics, library: Library, clock: Clock): void {
  metrics.gather('index', INDEX, () => [
    ...library.index.stats().flatMap(({ kind, codes, references, bytes }): IndexReading[] => [
      ['vigil_index_codes', codes, { kind }],
      ['vigil_index_references', references, { kind }],
      ['vigil_index_bytes', bytes, { kind }],
    ]),
    ['vigil_index_behind_seconds', Math.max(0, clock.now() - library.readAt()) / 1000, {}],
  ]);
}

type IndexReading = Extract<Reading, [(typeof INDEX)[number], ...unknown[]]>;

const FIGURES = [
  'vigil_references',
  'vigil_reviews_open',
  'vigil_actions_open',
  'vigil_actions_overdue',
  'vigil_outbox_events',
  'vigil_outbox_oldest_seconds',
  'vigil_timers_due',
  'vigil_webhooks_due',
] as const;
const LOOK_BACK = ['vigil_look_back_references', 'vigil_look_back_oldest_seconds'] as const;
const WATCHED = [
  'vigil_canary_green',
  'vigil_canary_run_timestamp_seconds',
  'vigil_index_self_check',
  'vigil_brake_on',
] as const;

function gatherWhole({ metrics, database, status, watch, clock, ackSeconds }: GaugeDeps): void {
  metrics.gather('figures', FIGURES, async () => {
    const now = clock.now();
    const found = await figuresOf(database.postgres, { now, late: now - ackSeconds * 1000 });
    const { references, reviews, actions, outbox, timersDue, webhooksDue } = found;
    return [
      ...Object.entries(references).map(
        ([state, n]): Extract<Reading, ['vigil_references', ...unknown[]]> => ['vigil_references', n, { state }],
      ),
      ['vigil_reviews_open', reviews, {}],
      ['vigil_actions_open', actions.open, {}],
      ['vigil_actions_overdue', actions.overdue, {}],
      ['vigil_outbox_events', outbox.waiting, {}],
      ['vigil_outbox_oldest_seconds', outbox.oldest === null ? 0 : Math.max(0, now - outbox.oldest) / 1000, {}],
      ['vigil_timers_due', timersDue, {}],
      ['vigil_webhooks_due', webhooksDue, {}],
    ];
  });
  metrics.gather('look back', LOOK_BACK, async () => {
    const { waiting, oldest } = await lookBackLag(database.postgres);
    return [
      ['vigil_look_back_references', waiting, {}],
      ['vigil_look_back_oldest_seconds', oldest === null ? 0 : Math.max(0, clock.now() - oldest) / 1000, {}],
    ];
  });
  metrics.gather('dead letters', ['vigil_dead_letters'], async () =>
    (await status.deadLetters()).map(({ topic, kept }) => ['vigil_dead_letters', kept, { topic }]),
  );
  if (watch) metrics.gather('canaries and brakes', WATCHED, async () => watchReadings(await watch.view()));
}

const CANARY = 'canary-';

/** Of canaries and indexes their newest word; of brakes how many of each kind are on. */
function watchReadings({ witnesses, brakes }: WatchView): Extract<Reading, [(typeof WATCHED)[number], ...unknown[]]>[] {
  return [
    ...witnesses.flatMap(({ name, state, at }): Extract<Reading, [(typeof WATCHED)[number], ...unknown[]]>[] => {
      const green = state === 'green' ? 1 : 0;
      if (!name.startsWith(CANARY)) return [['vigil_index_self_check', green, { index: name }]];
      const about = { case: name.slice(CANARY.length) };
      return [
        ['vigil_canary_green', green, about],
        ['vigil_canary_run_timestamp_seconds', at / 1000, about],
      ];
    }),
    ...BRAKES.map(
      (brake): Extract<Reading, ['vigil_brake_on', ...unknown[]]> => [
        'vigil_brake_on',
        brakes.filter((b) => b.brake === brake).length,
        { brake },
      ],
    ),
  ];
}
