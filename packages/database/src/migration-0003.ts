/** What became of objects: which versions were deleted or replaced, so that a late or repeated message does not bring them back. */
export const migration0003 = `
CREATE TABLE removals (
  source text NOT NULL,
  bucket text NOT NULL,
  key text NOT NULL,
  -- '': all versions.
  version text NOT NULL,
  received_at bigint NOT NULL,
  sequencer text,
  -- Of all versions the one that took their place.
  kept text,
  PRIMARY KEY (source, bucket, key, version)
);
CREATE INDEX uploads_object ON uploads ((media->>'bucket'), (media->>'key')) WHERE media IS NOT NULL;
`;
