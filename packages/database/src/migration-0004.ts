/**
 * Claims go through states, and all that happens to them is a chain of events per case that nobody changes any more: not this
 * program (rights), not its owner by mistake (triggers), and whoever turns these off is found out (hashes, roots elsewhere).
 */
export const migration0004 = `
ALTER TABLE uploads ADD COLUMN blocked jsonb NOT NULL DEFAULT '[]';
UPDATE uploads u SET blocked = coalesce((SELECT event->'territories' FROM actions a
  WHERE a.upload = u.id AND a.action = 'takedown' ORDER BY epoch DESC LIMIT 1), '["*"]')
WHERE media_state = 'disabled';

-- Filed by hand, about uploads; as received, complete or not. What is personal in it is a paper.
CREATE TABLE notices (
  id text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('dmca', 'dsa')),
  holder text NOT NULL,
  work text,
  uploads jsonb NOT NULL,
  standing text NOT NULL CHECK (standing IN ('complete', 'substantially-complete', 'defective')),
  missing jsonb NOT NULL,
  paper text NOT NULL,
  received_at bigint NOT NULL
);
CREATE INDEX notices_holder ON notices (holder, received_at);

ALTER TABLE claims
  DROP CONSTRAINT claims_state_check,
  ALTER COLUMN reference DROP NOT NULL,
  ALTER COLUMN version DROP NOT NULL,
  ALTER COLUMN decision DROP NOT NULL,
  ADD COLUMN notice text REFERENCES notices,
  ADD COLUMN ground text NOT NULL DEFAULT 'rights-holder-rule'
    CHECK (ground IN ('rights-holder-rule', '512c3-notice', 'dsa-16-notice', 'trusted-flagger')),
  ADD COLUMN territories jsonb NOT NULL DEFAULT '["*"]',
  ADD COLUMN procedure jsonb NOT NULL DEFAULT '{"automatedDecision": null, "takenDownAt": null, "redressUntil": null,
    "dispute": null, "appeal": null, "counterNotice": null, "court": null, "complaint": null, "strike": null, "ended": null}';
UPDATE claims SET territories = decision->'territories',
  state = CASE WHEN state = 'released' THEN 'reversed' WHEN state = 'open' AND action <> 'takedown' THEN 'open'
               WHEN state = 'withdrawn' THEN state ELSE 'taken-down' END;
UPDATE claims SET procedure = procedure || jsonb_build_object('automatedDecision', true, 'takenDownAt', changed_at,
  'redressUntil', changed_at + 184 * 86400000::bigint) WHERE state = 'taken-down';
ALTER TABLE claims
  DROP COLUMN action,
  ADD CHECK ((reference IS NULL) = (notice IS NOT NULL)),
  ADD CHECK ((reference IS NULL) = (version IS NULL)),
  ADD CHECK ((reference IS NULL) = (decision IS NULL)),
  ADD CHECK (state IN ('open', 'taken-down', 'disputed', 'upheld', 'appealed', 'counter-notice', 'waiting', 'court-hold',
    'closed', 'reversed', 'put-back', 'dismissed', 'withdrawn')),
  ADD UNIQUE (upload, notice);
CREATE INDEX claims_reference ON claims (reference, version) WHERE reference IS NOT NULL;
CREATE INDEX claims_opened ON claims (opened_at);
CREATE INDEX cases_holder ON cases (holder, opened_at);

-- The newest link of each chain; what was in the last root.
ALTER TABLE cases
  ADD COLUMN seq int NOT NULL DEFAULT 0,
  ADD COLUMN head bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
  ADD COLUMN rooted_seq int NOT NULL DEFAULT 0;
CREATE INDEX cases_unrooted ON cases (id) WHERE seq > rooted_seq;

CREATE FUNCTION chained(previous bytea, body text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT
  AS $$ SELECT sha256(previous || convert_to(body, 'UTF8')) $$;

-- body is canonical JSON (keys sorted, no spaces), and what is hashed to the byte. The columns beside it are read from it.
CREATE TABLE case_events (
  case_id text NOT NULL REFERENCES cases,
  seq int NOT NULL CHECK (seq > 0),
  body text NOT NULL,
  previous bytea NOT NULL,
  hash bytea NOT NULL CHECK (hash = chained(previous, body)),
  kind text GENERATED ALWAYS AS (body::jsonb->>'kind') STORED,
  at bigint GENERATED ALWAYS AS ((body::jsonb->>'at')::bigint) STORED,
  claim text GENERATED ALWAYS AS (body::jsonb->>'claim') STORED,
  PRIMARY KEY (case_id, seq)
);
CREATE INDEX case_events_kind ON case_events (kind, at);

CREATE TABLE audit_roots (
  number int PRIMARY KEY CHECK (number > 0),
  at bigint NOT NULL,
  previous bytea NOT NULL,
  root bytea NOT NULL,
  heads int NOT NULL
);
-- Chains that grew since the root before.
CREATE TABLE audit_heads (
  -- No foreign key: checking one takes the right to update audit_roots, which nobody has.
  root int NOT NULL,
  case_id text NOT NULL REFERENCES cases,
  seq int NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (root, case_id)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON case_events EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_roots EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_heads EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON case_events, audit_roots, audit_heads FROM PUBLIC, CURRENT_USER;

-- What people wrote. The chain holds the digest, SHA-256 of salt and content; both go when it is erased.
CREATE TABLE papers (
  id text PRIMARY KEY,
  -- The case, or the notice, that it belongs to.
  subject text NOT NULL,
  kind text NOT NULL,
  content jsonb,
  salt bytea,
  digest bytea NOT NULL,
  written_at bigint NOT NULL,
  erased_at bigint,
  CHECK ((content IS NULL) = (erased_at IS NOT NULL) AND (salt IS NULL) = (content IS NULL))
);
CREATE INDEX papers_subject ON papers (subject);

-- One a case, however many claims earned it: fifty pieces of one film are one infringement.
CREATE TABLE strikes (
  case_id text PRIMARY KEY REFERENCES cases,
  account text NOT NULL,
  at bigint NOT NULL,
  expires_at bigint NOT NULL,
  revoked_at bigint
);
CREATE INDEX strikes_account ON strikes (account);

-- Pairs of frames that show why, in the blob store under these keys; times are seconds.
CREATE TABLE evidence_pictures (
  claim text NOT NULL REFERENCES claims,
  n int NOT NULL,
  upload_key text NOT NULL,
  upload_time double precision NOT NULL,
  reference_key text NOT NULL,
  reference_time double precision NOT NULL,
  made_at bigint NOT NULL,
  PRIMARY KEY (claim, n)
);

CREATE TABLE webhook_endpoints (
  id text PRIMARY KEY,
  holder text NOT NULL,
  url text NOT NULL,
  -- Signs what is sent (Standard Webhooks), so it must be readable by whoever sends.
  secret text NOT NULL,
  -- Types of events; empty: all.
  types jsonb NOT NULL DEFAULT '[]',
  created_at bigint NOT NULL,
  disabled_at bigint,
  disabled_why text
);
CREATE INDEX webhook_endpoints_holder ON webhook_endpoints (holder);
CREATE TABLE webhook_deliveries (
  id text PRIMARY KEY,
  endpoint text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
  event text NOT NULL,
  type text NOT NULL,
  payload text NOT NULL,
  created_at bigint NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  -- NULL: nothing more is tried.
  due_at bigint,
  delivered_at bigint,
  failed_at bigint,
  -- Of the last attempt: an HTTP status, or none when there was no answer.
  status int,
  error text,
  UNIQUE (endpoint, event)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint, created_at);
`;
