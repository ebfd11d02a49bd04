/** What rights-holders and platforms do through the API: keys, works, checks of references, conflicts between holders. */
export const migration0007 = `
CREATE TABLE api_keys (
  id text PRIMARY KEY,
  -- SHA-256 of the whole key; the key itself is nowhere.
  hash bytea NOT NULL,
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('holder', 'platform', 'operator')),
  holder text,
  verbs jsonb NOT NULL,
  created_by text NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  revoked_at bigint,
  last_used_at bigint,
  replaced_by text REFERENCES api_keys,
  CHECK ((role = 'holder') = (holder IS NOT NULL))
);
CREATE INDEX api_keys_created ON api_keys (created_at, id);

-- A POST that was answered: sent again under the same key it gets the same answer.
CREATE TABLE idempotency_keys (
  principal text NOT NULL,
  key text NOT NULL,
  request text NOT NULL,
  digest text,
  status int,
  answer jsonb,
  begun_at bigint NOT NULL,
  PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_keys_begun ON idempotency_keys (begun_at);

ALTER TABLE works ADD COLUMN version int NOT NULL DEFAULT 1;
ALTER TABLE works ADD COLUMN details jsonb NOT NULL DEFAULT '{}';
CREATE INDEX works_holder ON works (holder, created_at, id);

ALTER TABLE reference_versions DROP CONSTRAINT reference_versions_state_check;
ALTER TABLE reference_versions ADD CONSTRAINT reference_versions_state_check
  CHECK (state IN ('received', 'fingerprinted', 'checked', 'live', 'disabled', 'rejected'));
ALTER TABLE reference_versions ADD COLUMN name text;
ALTER TABLE reference_versions ADD COLUMN fingerprinted_at bigint;
ALTER TABLE reference_versions ADD COLUMN checked_at bigint;
ALTER TABLE reference_versions ADD COLUMN findings jsonb NOT NULL DEFAULT '[]';
CREATE INDEX reference_versions_holder ON reference_versions (holder, received_at, id);

-- One shard's look at one slice of a newcomer: what of it other references hold already. Gone when the conclusions are drawn.
CREATE TABLE reference_checks (
  reference text NOT NULL,
  version int NOT NULL,
  slice int NOT NULL,
  shards int NOT NULL,
  shard int NOT NULL,
  replica text NOT NULL,
  shared jsonb NOT NULL,
  PRIMARY KEY (reference, version, shards, shard, replica, slice),
  FOREIGN KEY (reference, version) REFERENCES reference_versions
);

-- Media on their way into the store in parts, under addresses that the holder was given.
CREATE TABLE reference_uploads (
  id text PRIMARY KEY,
  holder text NOT NULL,
  work text NOT NULL REFERENCES works,
  name text NOT NULL,
  size bigint NOT NULL,
  part_bytes bigint NOT NULL,
  object_key text NOT NULL,
  store_id text NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'abandoned')),
  reference text,
  version int,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX reference_uploads_open ON reference_uploads (expires_at) WHERE state = 'open';
CREATE INDEX reference_uploads_holder ON reference_uploads (holder, created_at, id);

-- Two holders' references show the same. Spans are pairs: [from, to] in the earlier one and in the newcomer.
CREATE TABLE conflicts (
  id text PRIMARY KEY,
  earlier text NOT NULL,
  earlier_version int NOT NULL,
  earlier_holder text NOT NULL,
  newcomer text NOT NULL,
  newcomer_version int NOT NULL,
  newcomer_holder text NOT NULL,
  spans jsonb NOT NULL,
  opened_at bigint NOT NULL,
  due_at bigint NOT NULL,
  outcome text CHECK (outcome IN ('earlier', 'newcomer', 'both')),
  settled_at bigint,
  settled_by text,
  earlier_offers text,
  newcomer_offers text,
  version int NOT NULL DEFAULT 1,
  FOREIGN KEY (earlier, earlier_version) REFERENCES reference_versions,
  FOREIGN KEY (newcomer, newcomer_version) REFERENCES reference_versions
);
CREATE INDEX conflicts_earlier ON conflicts (earlier, earlier_version);
CREATE INDEX conflicts_newcomer ON conflicts (newcomer, newcomer_version);
CREATE TABLE conflict_messages (
  id text PRIMARY KEY,
  conflict text NOT NULL REFERENCES conflicts,
  side text NOT NULL CHECK (side IN ('earlier', 'newcomer', 'operator')),
  body text NOT NULL,
  sent_at bigint NOT NULL
);
CREATE INDEX conflict_messages_conflict ON conflict_messages (conflict, sent_at);

ALTER TABLE policies ADD COLUMN created_by text;
CREATE INDEX slice_evidence_recorded ON slice_evidence (recorded_at)
  WHERE result->'outcome'->>'status' = 'confirmed';
`;
