/** An endpoint that does not answer waits by itself: since when nothing is taken there, and until when nothing is tried. */
export const migration0009 = `
ALTER TABLE webhook_endpoints
  ADD COLUMN failing_since bigint,
  ADD COLUMN failures int NOT NULL DEFAULT 0,
  ADD COLUMN paused_until bigint NOT NULL DEFAULT 0;
DROP INDEX webhook_deliveries_due;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, due_at) WHERE due_at IS NOT NULL;
`;
