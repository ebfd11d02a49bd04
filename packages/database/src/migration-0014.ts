/** What holders write to each other about a conflict is kept as all that people write: in papers, which can be erased. */
export const migration0014 = `
WITH message AS (
  SELECT id, conflict, side, jsonb_build_object('body', body) AS content, '{"body":' || to_json(body)::text || '}' AS canonical,
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) AS salt, sent_at
  FROM conflict_messages
)
INSERT INTO papers (id, subject, kind, content, salt, digest, written_at)
SELECT id, conflict, 'message-' || side, content, salt, sha256(salt || convert_to(canonical, 'UTF8')), sent_at FROM message;
DROP TABLE conflict_messages;
-- What was answered to whoever sent a message repeats it.
CREATE INDEX idempotency_keys_conflicts ON idempotency_keys (request text_pattern_ops)
  WHERE request LIKE 'POST /v1/conflicts/%';
`;
