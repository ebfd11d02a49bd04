/** Holds by version, policies by what they hold for, and takedowns in the order in which they were committed. */
export const migration0015 = `
-- What may pass a brake is a takedown by one version of a reference: the next one is looked at like any other.
ALTER TABLE brake_holds ADD COLUMN version int;
-- Where several have acted, the oldest: whatever was let pass for it says nothing of those that came after.
UPDATE brake_holds h SET version = coalesce((SELECT min(c.version) FROM claims c
  WHERE c.upload = h.upload AND c.reference = h.reference), 1);
ALTER TABLE brake_holds ALTER COLUMN version SET NOT NULL;

-- A holder may have many policies; of one upload those of its references count, of their works, and of the holder.
DROP INDEX policies_holder;
CREATE INDEX policies_scope ON policies (holder, reference, work);

-- The number of an action in the outbox, where it is forgotten after a while: whoever has exported up to one has missed none before it,
-- as sent_at (taken in the middle of a transaction) cannot promise. Those that are there come before all that will be, as they were sent.
ALTER TABLE actions ADD COLUMN seq bigint;
UPDATE actions SET seq = n.n - n.of FROM (
  SELECT id, row_number() OVER (ORDER BY sent_at, id) AS n, count(*) OVER () AS of FROM actions) n WHERE n.id = actions.id;
CREATE UNIQUE INDEX actions_exported ON actions (seq) WHERE action = 'takedown';
CREATE FUNCTION number_action() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE actions SET seq = NEW.seq WHERE id = NEW.event_id AND seq IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER number_action AFTER INSERT ON outbox FOR EACH ROW WHEN (NEW.topic = 'vigil.takedowns')
  EXECUTE FUNCTION number_action();
`;
