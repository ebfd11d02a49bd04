/**
 * Layouts: in how many shards the library is searched. Two may run side by side, so that what belongs to a shard says which
 * layout it is of. Before this nobody knew: replicas and what they have loaded are told anew by each matcher's next start.
 */
export const migration0005 = `
CREATE TABLE index_layouts (
  shards int PRIMARY KEY CHECK (shards > 0),
  current_since bigint NOT NULL,
  -- NULL: uploads are planned for it now.
  ended_at bigint
);
CREATE UNIQUE INDEX index_layouts_current ON index_layouts ((true)) WHERE ended_at IS NULL;

DELETE FROM index_replicas;
ALTER TABLE index_replicas
  ADD COLUMN shards int NOT NULL,
  -- NULL: it has not read to the end of the log yet.
  ADD COLUMN seen_at bigint,
  ADD COLUMN checkpoint bigint NOT NULL DEFAULT 0,
  DROP CONSTRAINT index_replicas_pkey,
  ADD PRIMARY KEY (shards, shard, replica);

DELETE FROM reference_slices;
ALTER TABLE reference_slices
  ADD COLUMN shards int NOT NULL,
  DROP CONSTRAINT reference_slices_pkey,
  ADD PRIMARY KEY (reference, version, shards, replica, slice);

ALTER TABLE slice_alignments ADD COLUMN shards int NOT NULL DEFAULT 1;
UPDATE slice_alignments SET shards = (manifest->'outcome'->>'shards')::int,
  result = result || jsonb_build_object('shards', manifest->'outcome'->'shards')
  FROM uploads WHERE id = upload AND manifest->'outcome' ? 'shards';
ALTER TABLE slice_alignments ALTER COLUMN shards DROP DEFAULT,
  DROP CONSTRAINT slice_alignments_pkey, ADD PRIMARY KEY (upload, shards, slice, shard);
ALTER TABLE slice_evidence ADD COLUMN shards int NOT NULL DEFAULT 1;
UPDATE slice_evidence SET shards = (manifest->'outcome'->>'shards')::int,
  result = result || jsonb_build_object('shards', manifest->'outcome'->'shards')
  FROM uploads WHERE id = upload AND manifest->'outcome' ? 'shards';
ALTER TABLE slice_evidence ALTER COLUMN shards DROP DEFAULT,
  DROP CONSTRAINT slice_evidence_pkey, ADD PRIMARY KEY (upload, shards, slice, shard);

CREATE INDEX uploads_open ON uploads (id) WHERE verdict IS NULL;
`;
