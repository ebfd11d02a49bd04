/** Takedowns and restorations as they were sent, and what the platform's surfaces said of them. */
export const migration0002 = `
CREATE TABLE actions (
  id text PRIMARY KEY,
  upload text NOT NULL REFERENCES uploads,
  action text NOT NULL CHECK (action IN ('takedown', 'restore')),
  epoch int NOT NULL,
  -- As it was first sent; re-sent ones differ in their attempt only.
  event jsonb NOT NULL,
  -- What was configured when it was first sent.
  surfaces jsonb NOT NULL,
  attempts int NOT NULL DEFAULT 1,
  alarms int NOT NULL DEFAULT 0,
  sent_at bigint NOT NULL,
  last_sent_at bigint NOT NULL,
  closed_at bigint,
  closed_why text CHECK (closed_why IN ('acknowledged', 'not-awaited', 'superseded', 'deleted')),
  CHECK ((closed_at IS NULL) = (closed_why IS NULL)),
  UNIQUE (upload, epoch, action)
);
CREATE INDEX actions_open ON actions (sent_at) WHERE closed_at IS NULL;

-- The newest of each surface. "at" is the surface's clock, recorded_at is ours.
CREATE TABLE acknowledgements (
  action text NOT NULL REFERENCES actions,
  surface text NOT NULL,
  status text NOT NULL CHECK (status IN ('done', 'failed')),
  at bigint NOT NULL,
  note text,
  recorded_at bigint NOT NULL,
  PRIMARY KEY (action, surface)
);

-- What was sent before there were acknowledgements is known, and waits for none.
INSERT INTO actions (id, upload, action, epoch, event, surfaces, sent_at, last_sent_at, closed_at, closed_why)
SELECT event->>'id', event->>'upload', event->>'action', (event->>'epoch')::int, event, '[]',
       created_at, created_at, created_at, 'not-awaited'
FROM (SELECT convert_from(value, 'UTF8')::jsonb AS event, created_at FROM outbox
      WHERE topic = 'vigil.takedowns' AND value IS NOT NULL) AS sent;
`;
