-- +goose Up
-- Tokens that are enabled late are read from the oldest address on. Deposits can be listed: what of payments to customers' addresses is for no order, by merchant and time.

-- Recording takes the cursor first: whoever does waits, and has none of what is changed here.
LOCK TABLE cursors IN ACCESS EXCLUSIVE MODE;

ALTER TABLE allocations ADD COLUMN merchant_id text, ADD COLUMN mode mode, ADD COLUMN deposit boolean;
COMMENT ON COLUMN allocations.deposit IS 'Whether a part of the payment, as it was last mined, is for no order. Kept, with whose it is, by a trigger.';
UPDATE allocations al
   SET merchant_id = p.merchant_id, mode = p.mode, deposit = i.amount > COALESCE(al.amount, 0)
  FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
 WHERE p.id = al.payment_id;
CREATE INDEX allocations_deposits ON allocations (merchant_id, mode, created_at DESC, payment_id DESC) WHERE deposit;
CREATE INDEX allocations_deposits_of ON allocations (address_id, created_at DESC, payment_id DESC) WHERE deposit;

-- What a payment carries, and to whose address, is written with its inclusion, after its allocation. A trigger, so that what the
-- release before this one allocates is listed too.
-- +goose StatementBegin
CREATE FUNCTION allocation_of_inclusion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE allocations al
     SET merchant_id = p.merchant_id, mode = p.mode, deposit = NEW.amount > COALESCE(al.amount, 0)
    FROM payments p WHERE p.id = NEW.payment_id AND al.payment_id = NEW.payment_id;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER allocation_of_inclusion AFTER INSERT ON inclusions FOR EACH ROW EXECUTE FUNCTION allocation_of_inclusion();

-- A payment's state is that of its newest inclusion, by the same order of questions as what merchants are shown. Nothing of dust is
-- a deposit: where it was posted decides, and before that what its asset calls dust.
CREATE VIEW deposits AS
SELECT al.payment_id, al.merchant_id, al.mode, al.address_id, al.created_at, p.chain, a.code,
       CASE WHEN EXISTS (SELECT FROM ledger_postings r WHERE r.payment_id = p.id AND r.inclusion = i.n AND r.kind = 'reversal') THEN 'reversed'
            WHEN NOT i.canonical THEN 'dropped'
            WHEN p.status = 'ignored' THEN 'ignored'
            WHEN p.status = 'parked' OR EXISTS (SELECT FROM reviews rv
              WHERE rv.payment_id = p.id AND rv.status = 'open' AND rv.cause <> 'deposit') THEN 'review'
            WHEN po.payment_id IS NOT NULL THEN 'credited'
            WHEN cur.block_number > i.block_number THEN 'confirming'
            ELSE 'detected' END AS state
  FROM allocations al
  JOIN payments p ON p.id = al.payment_id
  JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
  JOIN assets a ON a.id = i.asset_id
  LEFT JOIN cursors cur ON cur.chain = p.chain
  LEFT JOIN ledger_postings po ON po.payment_id = p.id AND po.inclusion = i.n AND po.kind = 'credit'
  LEFT JOIN ledger_accounts acc ON acc.id = po.credit_account
 WHERE al.deposit
   AND CASE WHEN po.payment_id IS NOT NULL THEN acc.kind <> 'dust' ELSE al.order_id IS NOT NULL OR i.amount >= a.dust_below END;
GRANT SELECT ON deposits TO sluice_app;

-- When the first address of a family was made says from where a token that is enabled late is read. Asked with every block.
CREATE INDEX addresses_oldest ON addresses (family, created_at);

ALTER TABLE assets ADD COLUMN tiers_pending boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN assets.tiers_pending IS 'The catalogue''s tiers for large amounts could not be set when the asset was enabled, and nobody has set or removed one since.';

ALTER TABLE cursors ADD COLUMN dust bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN cursors.dust IS 'Payments to addresses of ours that were dust when they were first recorded.';

-- +goose Down
LOCK TABLE cursors IN ACCESS EXCLUSIVE MODE;
ALTER TABLE cursors DROP COLUMN dust;
ALTER TABLE assets DROP COLUMN tiers_pending;
DROP INDEX addresses_oldest;
DROP VIEW deposits;
DROP TRIGGER allocation_of_inclusion ON inclusions;
DROP FUNCTION allocation_of_inclusion();
DROP INDEX allocations_deposits_of, allocations_deposits;
ALTER TABLE allocations DROP COLUMN deposit, DROP COLUMN mode, DROP COLUMN merchant_id;
