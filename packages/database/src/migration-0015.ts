/** What may pass a brake is a takedown by one version of a reference: the next one is looked at like any other. */
export const migration0015 = `
ALTER TABLE brake_holds ADD COLUMN version int;
-- Where several have acted, the oldest: whatever was let pass for it says nothing of those that came after.
UPDATE brake_holds h SET version = coalesce((SELECT min(c.version) FROM claims c
  WHERE c.upload = h.upload AND c.reference = h.reference), 1);
ALTER TABLE brake_holds ALTER COLUMN version SET NOT NULL;

-- A holder may have many policies; of one upload those of its references count, of their works, and of the holder.
DROP INDEX policies_holder;
CREATE INDEX policies_scope ON policies (holder, reference, work);
`;
