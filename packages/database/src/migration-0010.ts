/** Brakes, what they count and what they hold; what canaries and indexes say of themselves. */
export const migration0010 = `
CREATE TABLE brakes (
  id text PRIMARY KEY,
  brake text NOT NULL CHECK (brake IN ('hot-reference', 'flood-reference', 'flood-holder', 'all')),
  -- A reference's id, a holder, or * for all.
  subject text NOT NULL,
  why text NOT NULL,
  -- Holds what is solid as well: somebody said so.
  everything boolean NOT NULL,
  -- person, counts, or the name of the witness that was red.
  cause text NOT NULL,
  set_by text NOT NULL,
  set_at bigint NOT NULL,
  released_by text,
  released_at bigint,
  -- What was held is judged again, or left to review.
  rejudged boolean
);
CREATE UNIQUE INDEX brakes_in_force ON brakes (brake, subject) WHERE released_at IS NULL;
CREATE INDEX brakes_set ON brakes (set_at, id);

-- The takedowns that a brake keeps back. "passed": the brake was released, and nothing else may hold this one.
CREATE TABLE brake_holds (
  upload text NOT NULL REFERENCES uploads,
  reference text NOT NULL,
  brake text NOT NULL REFERENCES brakes,
  held_at bigint NOT NULL,
  passed boolean NOT NULL DEFAULT false,
  PRIMARY KEY (upload, reference)
);
CREATE INDEX brake_holds_brake ON brake_holds (brake, upload);

-- Slight copies of a reference, no two of which share an account or show the same: few, and forgotten after a day.
CREATE TABLE brake_marks (
  upload text NOT NULL,
  reference text NOT NULL,
  marked_at bigint NOT NULL,
  mark jsonb NOT NULL,
  PRIMARY KEY (upload, reference)
);
CREATE INDEX brake_marks_reference ON brake_marks (reference, marked_at);
CREATE INDEX brake_marks_age ON brake_marks (marked_at);

-- Takedowns by the hour. Of references and holders those that a flood is made of; of all, spread over a few subjects, every one.
CREATE TABLE takedown_hours (
  scope text NOT NULL CHECK (scope IN ('reference', 'holder', 'all')),
  subject text NOT NULL,
  hour bigint NOT NULL,
  n int NOT NULL,
  PRIMARY KEY (scope, subject, hour)
) WITH (fillfactor = 50);
CREATE INDEX takedown_hours_hour ON takedown_hours (hour);

-- The newest word of each: canary-copy, canary-clean, index-<shard>-of-<shards>@<replica>.
CREATE TABLE witnesses (
  name text PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('green', 'red')),
  message text NOT NULL,
  at bigint NOT NULL,
  -- Since when it has said so, and how often in a row.
  since bigint NOT NULL,
  streak int NOT NULL
);
`;
