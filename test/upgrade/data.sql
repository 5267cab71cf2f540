-- Rows for every table of schema steward; run by pg_upgrade.pl in each
-- database before the upgrade, and compared after it.
INSERT INTO steward.pool_event
VALUES ('2026-01-01 00:00Z', 'raised', 'warning', 'above threshold', 80, 97, 0, 'status=warning');
