-- Rows for every table of schema steward; run by pg_upgrade.pl in each
-- database before the upgrade, and compared after it.
INSERT INTO steward.index_suggestion
VALUES ('CREATE INDEX CONCURRENTLY ON public.t USING btree (a)', 'public', 't', 8192, 1.5, 2.5,
        '2026-01-01 00:00 UTC', 'postgres', '[{"queryid": 1, "calls": 2, "total_ms": 3, "ms_after": 0.1}]', NULL, NULL);
INSERT INTO steward.pool_event
VALUES ('2026-01-01 00:00Z', 'raised', 'warning', 'above threshold', 80, 97, 0, 'status=warning');
CREATE MATERIALIZED VIEW app.books_by_title AS SELECT title, count(*) FROM app.books GROUP BY title;
INSERT INTO steward.matview_policy
VALUES (0, 'app.books_by_title', NULL, '0 3 * * *', 'Europe/Berlin', NULL, false, NULL, 'auto', '2 s', '1 hour', true, 'wait', true,
        '2026-01-01 00:00Z');
INSERT INTO steward.matview_state
VALUES ('app.books_by_title', '2026-01-01 00:00Z', '2026-01-01 00:00Z', 'diff', 1.5, 2.5, 3, 0.25, 4, 0, 0, NULL, NULL, NULL, NULL, NULL, 5);
INSERT INTO steward.matview_refresh_history (matview, started, finished, method, outcome, duration_ms)
VALUES ('app.books_by_title', '2026-01-01 00:00Z', '2026-01-01 00:01Z', 'diff', 'ok', 60000);
