/** Judging again what was judged: runs of replay and look-back that can be interrupted, and letters that could not be handled. */
export const migration0012 = `
-- How far the library had been read when this version went live: what was searched before that may not have seen it. Null: not known.
ALTER TABLE reference_versions ADD COLUMN index_checkpoint bigint;
-- When all that was uploaded before had been compared with it.
ALTER TABLE reference_versions ADD COLUMN looked_back_at bigint;
UPDATE reference_versions SET looked_back_at = now_ms() WHERE live_at IS NOT NULL;
CREATE INDEX reference_versions_look_back ON reference_versions (live_at) WHERE state = 'live' AND looked_back_at IS NULL;

CREATE TABLE again_runs (
  id text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('replay', 'look-back')),
  -- What was asked for, and whether it is to be done or only shown.
  spec jsonb NOT NULL,
  apply boolean NOT NULL,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done')),
  -- Pieces of partitions, each with how far it was read; and what was counted so far.
  places jsonb NOT NULL,
  tally jsonb NOT NULL,
  begun_at bigint NOT NULL,
  changed_at bigint NOT NULL
);
CREATE INDEX again_runs_begun ON again_runs (begun_at);
-- What a run says of an upload, unless that is nothing new.
CREATE TABLE again_findings (
  run text NOT NULL REFERENCES again_runs ON DELETE CASCADE,
  upload text NOT NULL,
  finding jsonb NOT NULL,
  PRIMARY KEY (run, upload)
);

CREATE TABLE dead_letters (
  topic text NOT NULL,
  partition int NOT NULL,
  position bigint NOT NULL,
  key text NOT NULL,
  stage text NOT NULL,
  reason text NOT NULL,
  -- Of topic, stage and reason without what differs from letter to letter.
  cause text NOT NULL,
  died_at bigint NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'retried', 'dropped')),
  -- The letter whose second try this one is.
  retry_of text,
  settled_at bigint,
  settled_by text,
  why text,
  PRIMARY KEY (topic, partition, position)
);
CREATE INDEX dead_letters_cause ON dead_letters (cause, died_at);
CREATE INDEX dead_letters_died ON dead_letters (died_at);
CREATE TABLE dead_places (
  topic text NOT NULL,
  partition int NOT NULL,
  next bigint NOT NULL,
  PRIMARY KEY (topic, partition)
);
`;
