-- What is pinned of tokens' contracts.

-- name: TokensToCheck :many
-- Tokens of a chain that nobody looked at for a while, disabled ones too: their money is still credited. Halted ones wait for a person.
SELECT id, contract, code FROM assets
 WHERE chain = @chain AND contract IS NOT NULL AND halted_at IS NULL
   AND (checked_at IS NULL OR checked_at < now() - interval '1 millisecond' * sqlc.arg(age_ms)::bigint)
 ORDER BY checked_at NULLS FIRST, id LIMIT @max_rows;

-- name: TokenRecheck :one
-- Whether an amount is one that the token is looked at for, and was not a moment ago.
SELECT (recheck_from IS NOT NULL AND sqlc.arg(amount)::text::numeric >= recheck_from AND contract IS NOT NULL
        AND (checked_at IS NULL OR checked_at < now() - interval '1 minute'))::boolean AS due
  FROM assets WHERE id = @id;

-- name: LockToken :one
SELECT id, code, decimals, code_hash, implementation_hash, deprecated, (halted_at IS NOT NULL)::boolean AS halted
  FROM assets WHERE id = @id AND contract IS NOT NULL FOR NO KEY UPDATE;

-- name: LockTokenByCode :one
SELECT a.id, a.contract, a.decimals, ch.family, (a.halted_at IS NOT NULL)::boolean AS halted
  FROM assets a JOIN chains ch ON ch.name = a.chain
 WHERE a.chain = @chain AND a.code = @code AND a.contract IS NOT NULL FOR NO KEY UPDATE OF a;

-- name: PinToken :exec
UPDATE assets SET code_hash = @code_hash, implementation_hash = @implementation_hash, deprecated = @deprecated, checked_at = now()
 WHERE id = @id;

-- name: HaltAsset :exec
UPDATE assets SET halted_at = now(), halted_reason = @reason::text, checked_at = now() WHERE id = @id AND halted_at IS NULL;

-- name: ResumeAsset :exec
UPDATE assets SET halted_at = NULL, halted_reason = NULL WHERE id = @id;

-- name: SetRecheckFrom :exec
UPDATE assets SET recheck_from = sqlc.narg(amount)::text::numeric WHERE id = @id;
