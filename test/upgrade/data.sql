-- Rows for every table of schema steward; run by pg_upgrade.pl in each
-- database before the upgrade, and compared after it.
INSERT INTO steward.index_suggestion
VALUES ('CREATE INDEX CONCURRENTLY ON public.t USING btree (a)', 'public', 't', 8192, 1.5, 2.5,
        '2026-01-01 00:00 UTC', 'postgres', '[{"queryid": 1, "calls": 2, "total_ms": 3, "ms_after": 0.1}]', NULL, NULL);
INSERT INTO steward.pool_event
VALUES ('2026-01-01 00:00Z', 'raised', 'warning', 'above threshold', 80, 97, 0, 'status=warning');
