/** People at the page: sessions, how they begin, the review queue and who holds what of it; lists that stay fast. */
export const migration0008 = `
ALTER TABLE api_keys DROP CONSTRAINT api_keys_role_check,
  ADD CONSTRAINT api_keys_role_check CHECK (role IN ('holder', 'platform', 'reviewer', 'operator'));

-- Somebody who signed in. The cookie's secret is nowhere, its SHA-256 is; it is changed again and again, and for a moment both open.
CREATE TABLE sessions (
  id text PRIMARY KEY,
  hash bytea NOT NULL UNIQUE,
  previous_hash bytea,
  previous_until bigint,
  csrf text NOT NULL,
  -- Who acts, as the chains of cases name them.
  principal text NOT NULL,
  -- The key that was given, where one was: the session ends with it.
  key text REFERENCES api_keys,
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('holder', 'platform', 'reviewer', 'operator')),
  holder text,
  verbs jsonb NOT NULL,
  created_at bigint NOT NULL,
  renew_by bigint NOT NULL,
  expires_at bigint NOT NULL,
  ended_at bigint,
  CHECK ((role = 'holder') = (holder IS NOT NULL))
);
CREATE INDEX sessions_previous ON sessions (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX sessions_expires ON sessions (expires_at);

-- Addresses that sign somebody in once.
CREATE TABLE sign_in_links (
  id text PRIMARY KEY,
  hash bytea NOT NULL UNIQUE,
  name text NOT NULL,
  role text NOT NULL,
  holder text,
  created_by text NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  used_at bigint
);

-- People on their way to the identity provider and back (RFC 7636, OpenID Connect Core 1.0 section 3.1).
CREATE TABLE oidc_sign_ins (
  state bytea PRIMARY KEY,
  -- Of the browser that began.
  browser bytea NOT NULL,
  verifier text NOT NULL,
  nonce text NOT NULL,
  return_to text NOT NULL,
  expires_at bigint NOT NULL
);

-- Who looks at an open claim, and until when.
CREATE TABLE review_locks (
  claim text PRIMARY KEY REFERENCES claims,
  reviewer text NOT NULL,
  taken_at bigint NOT NULL,
  until bigint NOT NULL
);
CREATE INDEX review_locks_reviewer ON review_locks (reviewer);
-- Whoever passed a claim on does not get it again before that.
CREATE TABLE review_skips (
  claim text NOT NULL REFERENCES claims,
  reviewer text NOT NULL,
  reason text NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (claim, reviewer)
);

-- The queue's order, as a time: when the claim was opened, less up to a day by its harm, 0..1 (how sure, and how much of the work is
-- shown). So what matters goes first and nothing waits for ever, and the queue is read off an index.
ALTER TABLE claims ADD COLUMN review_at bigint GENERATED ALWAYS AS (opened_at - (86400000 *
  CASE WHEN decision IS NULL THEN 1 ELSE
    (decision->'evidence'->>'confidence')::double precision * (0.4 + 0.6 * least(1, greatest(
      (decision->'evidence'->'share'->>'reference')::double precision,
      (decision->'evidence'->>'total')::double precision / 300,
      CASE WHEN (decision->'evidence'->>'total')::double precision = 0
        THEN (decision->'evidence'->'share'->>'upload')::double precision ELSE 0 END)))
  END)::bigint) STORED;
CREATE INDEX claims_review ON claims (review_at, id) WHERE state = 'open';
DROP INDEX claims_opened;
CREATE INDEX claims_opened ON claims (opened_at, id);
DROP INDEX claims_case;
CREATE INDEX claims_case ON claims (case_id, state);

-- What the case's claims say together, and when something last happened.
ALTER TABLE cases ADD COLUMN state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'taken-down', 'contested', 'closed'));
ALTER TABLE cases ADD COLUMN changed_at bigint NOT NULL DEFAULT 0;
UPDATE cases SET
  state = CASE
    WHEN EXISTS (SELECT FROM claims WHERE case_id = cases.id
      AND state IN ('disputed', 'appealed', 'counter-notice', 'waiting', 'court-hold')) THEN 'contested'
    WHEN EXISTS (SELECT FROM claims WHERE case_id = cases.id AND state = 'open') THEN 'open'
    WHEN EXISTS (SELECT FROM claims WHERE case_id = cases.id AND state IN ('taken-down', 'upheld')) THEN 'taken-down'
    ELSE 'closed' END,
  changed_at = coalesce((SELECT max(changed_at) FROM claims WHERE case_id = cases.id), opened_at);
DROP INDEX cases_holder;
CREATE INDEX cases_opened ON cases (opened_at, id);
CREATE INDEX cases_state ON cases (state, opened_at, id);
CREATE INDEX cases_holder ON cases (holder, opened_at, id);
CREATE INDEX cases_holder_state ON cases (holder, state, opened_at, id);
CREATE INDEX cases_work ON cases (work, opened_at, id);

CREATE INDEX works_created ON works (created_at, id);
CREATE INDEX reference_versions_received ON reference_versions (received_at, id);
CREATE INDEX verdicts_decided ON verdicts (decided_at);

-- Whoever shows cases hears of what happens in them, and asks again.
CREATE FUNCTION tell_of_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('vigil_cases', NEW.case_id || '/' || NEW.seq);
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON case_events FOR EACH ROW EXECUTE FUNCTION tell_of_case();
CREATE FUNCTION tell_of_reference() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('vigil_references', NEW.id || '/' || NEW.version);
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OF state ON reference_versions FOR EACH ROW EXECUTE FUNCTION tell_of_reference();
`;
