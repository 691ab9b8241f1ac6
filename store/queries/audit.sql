-- Who did what by hand.

-- name: InsertAudit :execrows
-- Zero rows: the request was done before.
INSERT INTO audit (actor, action, subject, reason, detail, request_id)
VALUES (@actor, @action, @subject, @reason, @detail, @request_id)
ON CONFLICT (request_id) DO NOTHING;

-- name: AuditExists :one
SELECT EXISTS (SELECT FROM audit WHERE request_id = sqlc.arg(request_id)::text);
