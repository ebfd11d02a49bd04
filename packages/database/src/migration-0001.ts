/**
 * Times are milliseconds since 1970. Columns that hold a whole contract (a manifest, a verdict) are jsonb, so that the
 * contract has one home; what is selected by has a column of its own.
 */
export const migration0001 = `
CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE
  AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE TABLE works (
  id text PRIMARY KEY,
  holder text NOT NULL,
  title text NOT NULL,
  created_at bigint NOT NULL DEFAULT now_ms()
);

-- A row is one version of a reference ("references" is a reserved word).
CREATE TABLE reference_versions (
  id text NOT NULL,
  version int NOT NULL CHECK (version > 0),
  work text NOT NULL REFERENCES works,
  holder text NOT NULL,
  media jsonb NOT NULL,
  kind text CHECK (kind IN ('image', 'video')),
  state text NOT NULL DEFAULT 'received'
    CHECK (state IN ('received', 'fingerprinted', 'live', 'disabled', 'rejected')),
  reason text,
  duration double precision,
  slices int,
  received_at bigint NOT NULL,
  planned_at bigint,
  live_at bigint,
  disabled_at bigint,
  PRIMARY KEY (id, version)
);
CREATE INDEX reference_versions_state ON reference_versions (state);
CREATE INDEX reference_versions_work ON reference_versions (work);

-- Who holds the index: a reference is live when every replica of its shard has loaded it.
CREATE TABLE index_replicas (
  shard int NOT NULL,
  replica text NOT NULL,
  registered_at bigint NOT NULL DEFAULT now_ms(),
  PRIMARY KEY (shard, replica)
);
CREATE TABLE reference_slices (
  reference text NOT NULL,
  version int NOT NULL,
  slice int NOT NULL,
  shard int NOT NULL,
  replica text NOT NULL,
  usable int NOT NULL,
  failed text,
  loaded_at bigint NOT NULL DEFAULT now_ms(),
  PRIMARY KEY (reference, version, replica, slice),
  FOREIGN KEY (reference, version) REFERENCES reference_versions
);

-- Of one holder, or narrower: of one work, of one reference. Each change is a new version.
CREATE TABLE policies (
  id text NOT NULL,
  version int NOT NULL CHECK (version > 0),
  holder text NOT NULL,
  work text,
  reference text,
  data jsonb NOT NULL,
  created_at bigint NOT NULL DEFAULT now_ms(),
  PRIMARY KEY (id, version)
);
CREATE INDEX policies_holder ON policies (holder);

CREATE TABLE uploads (
  id text PRIMARY KEY,
  media jsonb,
  account text,
  manifest jsonb,
  deleted boolean NOT NULL DEFAULT false,
  -- Rises with a reversal or a changed action only: it is part of the takedown's id.
  epoch int NOT NULL DEFAULT 0,
  media_state text NOT NULL DEFAULT 'shown' CHECK (media_state IN ('shown', 'disabled')),
  revision int NOT NULL DEFAULT 0,
  verdict jsonb,
  received_at bigint,
  settled_at bigint,
  created_at bigint NOT NULL DEFAULT now_ms()
);
CREATE INDEX uploads_received ON uploads (received_at);
CREATE INDEX uploads_account ON uploads (account) WHERE account IS NOT NULL;

CREATE TABLE slice_alignments (
  upload text NOT NULL REFERENCES uploads ON DELETE CASCADE,
  slice int NOT NULL,
  shard int NOT NULL,
  checkpoint bigint NOT NULL,
  result jsonb NOT NULL,
  recorded_at bigint NOT NULL DEFAULT now_ms(),
  PRIMARY KEY (upload, slice, shard)
);
CREATE TABLE slice_evidence (
  upload text NOT NULL REFERENCES uploads ON DELETE CASCADE,
  slice int NOT NULL,
  shard int NOT NULL,
  checkpoint bigint NOT NULL,
  result jsonb NOT NULL,
  recorded_at bigint NOT NULL DEFAULT now_ms(),
  PRIMARY KEY (upload, slice, shard)
);
CREATE TABLE verdicts (
  upload text NOT NULL REFERENCES uploads,
  revision int NOT NULL,
  verdict jsonb NOT NULL,
  decided_at bigint NOT NULL,
  PRIMARY KEY (upload, revision)
);

CREATE TABLE cases (
  id text PRIMARY KEY,
  -- NULL for an upload that nobody's account is known of: it is a case of its own.
  account text,
  work text NOT NULL,
  holder text NOT NULL,
  opened_at bigint NOT NULL,
  UNIQUE (account, work)
);
CREATE TABLE claims (
  id text PRIMARY KEY,
  upload text NOT NULL REFERENCES uploads,
  reference text NOT NULL,
  version int NOT NULL,
  case_id text NOT NULL REFERENCES cases,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'disputed', 'released', 'withdrawn')),
  action text NOT NULL,
  decision jsonb NOT NULL,
  opened_at bigint NOT NULL,
  changed_at bigint NOT NULL,
  UNIQUE (upload, reference)
);
CREATE INDEX claims_case ON claims (case_id);

-- See outbox.ts. The head's lock makes the order of seq the order of commits.
CREATE TABLE outbox_head (one boolean PRIMARY KEY DEFAULT true CHECK (one), seq bigint NOT NULL) WITH (fillfactor = 20);
INSERT INTO outbox_head (seq) VALUES (0);
CREATE TABLE outbox_cursor (one boolean PRIMARY KEY DEFAULT true CHECK (one), seq bigint NOT NULL) WITH (fillfactor = 20);
INSERT INTO outbox_cursor (seq) VALUES (0);
CREATE TABLE outbox (
  seq bigint PRIMARY KEY,
  event_id text NOT NULL UNIQUE,
  topic text NOT NULL,
  key text NOT NULL,
  headers jsonb NOT NULL,
  value bytea,
  created_at bigint NOT NULL DEFAULT now_ms(),
  published_at bigint
);
CREATE INDEX outbox_key ON outbox (key);

CREATE TABLE timers (
  id text PRIMARY KEY,
  kind text NOT NULL,
  due_at bigint NOT NULL,
  payload jsonb NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  created_at bigint NOT NULL DEFAULT now_ms()
);
CREATE INDEX timers_due ON timers (due_at);
`;
