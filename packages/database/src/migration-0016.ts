/**
 * References that wait to be looked back for stand in a queue of their own: to mark each done in its wide row, under six indexes, kept
 * everyone else waiting after an import of many.
 */
export const migration0016 = `
CREATE TABLE look_back_queue (
  live_at bigint NOT NULL,
  reference text NOT NULL,
  version int NOT NULL,
  PRIMARY KEY (live_at, reference, version),
  UNIQUE (reference, version)
);
INSERT INTO look_back_queue (live_at, reference, version)
SELECT live_at, id, version FROM reference_versions WHERE state = 'live' AND looked_back_at IS NULL AND slices IS NOT NULL;
DROP INDEX reference_versions_look_back;
ALTER TABLE reference_versions DROP COLUMN looked_back_at;
`;
