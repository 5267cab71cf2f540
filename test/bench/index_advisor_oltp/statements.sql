-- What the application executes; for the notation see index_advisor_common/harness.sql.
INSERT INTO bench.statement (trap, calls, prepared, template) VALUES
-- expression keys
('lower()', 60, false, 'SELECT id, account_id, role FROM member WHERE lower(email) = lower({substr(md5((k * 13 % 60000)::text), 1, 8) || ''.'' || k * 13 % 60000 || ''@example.ORG''})'),
('user function', 20, false, 'SELECT id, full_name FROM member WHERE phone_digits(phone) = {''49'' || 100 + (k * 17) % 900 || 1000000 + k * 17}'),
('jsonb ->> equality', 20, false, 'SELECT id, serial FROM device WHERE props ->> ''site'' = {''s'' || 1 + k * 37 % 3000}'),
('date of timestamp', 8, false, 'SELECT count(*), max(id) FROM audit_event WHERE (happened_at AT TIME ZONE ''UTC'')::date = {(''2024-01-02''::date + k * 7 % 490)::text}::date'),
-- order
('DESC NULLS LAST', 30, false, 'SELECT id, full_name, last_login FROM member WHERE account_id = {#1 + k % 40} ORDER BY last_login DESC NULLS LAST LIMIT 10'),
('DESC NULLS LAST whole table', 15, false, 'SELECT id, email, last_login FROM member ORDER BY last_login DESC NULLS LAST, id LIMIT 25'),
('mixed directions', 20, false, 'SELECT id, subject FROM ticket WHERE assignee_id = {#1 + k % 300} ORDER BY priority DESC, opened_at LIMIT 20'),
('latest of one', 25, true, 'SELECT id, change, happened_at FROM audit_event WHERE entity = {''ticket''} AND entity_id = {#1 + k * 71 % 50000} ORDER BY happened_at DESC LIMIT {#10}'),
-- partial
('IS NULL flag', 30, false, 'SELECT id, subject, priority FROM ticket WHERE account_id = {#1 + k * 53 % 1900} AND closed_at IS NULL ORDER BY opened_at'),
('boolean rare', 25, false, 'SELECT id, account_id, subject FROM ticket WHERE is_spam ORDER BY opened_at DESC LIMIT 50'),
('NOT boolean rare', 30, false, 'SELECT id, message_id, sha FROM attachment WHERE NOT scanned ORDER BY id LIMIT 20'),
('rare states', 20, false, 'SELECT id, account_id, total_cents FROM invoice WHERE state = {''sent''} AND due_on < {(''2023-02-01''::date + k)::text}'),
('unpaid', 12, false, 'SELECT account_id, sum(total_cents) FROM invoice WHERE paid_at IS NULL AND due_on < {(''2025-04-01''::date + k)::text} GROUP BY account_id'),
('queue', 60, false, 'SELECT id, payload FROM job WHERE state = {''ready''} AND queue = {(ARRAY[''mail'', ''export'', ''sync''])[1 + k % 3]} AND run_at <= {''2025-06-01''} ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED'),
-- index-only
('index-only sum', 25, false, 'SELECT sum(total_cents) FROM invoice WHERE account_id = {#1 + k % 5} AND issued_on >= {(''2023-03-01''::date + k)::text}'),
('count by author', 15, false, 'SELECT count(*) FROM message WHERE author_id = {#1 + k % 2000}'),
-- OR, lists, arrays, documents, patterns
('OR two columns', 20, false, 'SELECT id, account_id, role FROM member WHERE referrer_id = {#1 + k * 11 % 60000} OR phone = {''+49 ('' || 100 + k || '') '' || 1000000 + k}'),
('OR three columns', 12, false, 'SELECT id FROM ticket WHERE parent_id = {#1000 + k * 19} OR id = {#k + 9} OR requester_id = {#k * 3 + 1}'),
('IN list', 20, false, 'SELECT id, invoice_id, quantity FROM invoice_line WHERE invoice_id IN ({#1 + k * 23}, {#40 + k * 29}, {#77 + k * 31})'),
('= ANY', 15, true, 'SELECT id, serial, battery FROM device WHERE serial = ANY ({(ARRAY[''SN-'' || substr(md5(k::text), 1, 12), ''SN-'' || substr(md5((k + 500)::text), 1, 12)])::text}::text[])'),
('array contains', 20, false, 'SELECT id, subject FROM ticket WHERE tags @> ARRAY[{''t'' || 150 + k}, {''t'' || 20 + k}]'),
('array overlap', 10, false, 'SELECT count(*) FROM ticket WHERE tags && ARRAY[{''t'' || 200 + k}]'),
('jsonb contains', 15, false, 'SELECT id, serial FROM device WHERE props @> {jsonb_build_object(''model'', ''m'' || 100 + k, ''rack'', k)::text}::jsonb'),
('LIKE infix', 15, false, 'SELECT id, subject FROM ticket WHERE subject LIKE {''%'' || substr(md5((k * 97)::text), 5, 8) || ''%''}'),
('ILIKE', 10, false, 'SELECT id, full_name FROM member WHERE full_name ILIKE {''%'' || substr(md5((k * 11 % 5000)::text), 2, 6) || ''%''} LIMIT 20'),
('LIKE prefix', 15, false, 'SELECT id, number, state FROM invoice WHERE number LIKE {''R'' || lpad((k * 37)::text, 4, ''0'') || ''%''}'),
-- joins
('join both sides', 20, false, 'SELECT m.full_name, t.subject FROM ticket t JOIN member m ON m.id = t.requester_id WHERE t.assignee_id = {#200 + k} AND t.status = {''open''}'),
('join to lines', 20, false, 'SELECT i.number, l.quantity, p.name FROM invoice i JOIN invoice_line l ON l.invoice_id = i.id JOIN product p ON p.id = l.product_id WHERE i.account_id = {#1500 + k}'),
('reverse join', 10, false, 'SELECT p.name, sum(l.quantity) FROM product p JOIN invoice_line l ON l.product_id = p.id WHERE p.sku = {''sku'' || 2000 + k} GROUP BY p.name'),
('join via attachment', 15, false, 'SELECT a.id, a.kind, a.bytes FROM message m JOIN attachment a ON a.message_id = m.id WHERE m.ticket_id = {#k * 731 + 1}'),
('EXISTS', 10, false, 'SELECT t.id FROM ticket t WHERE t.account_id = {#100 + k * 9} AND EXISTS (SELECT FROM message m JOIN attachment a ON a.message_id = m.id WHERE m.ticket_id = t.id AND a.kind = {''zip''})'),
('scalar subquery', 10, false, 'SELECT m.id, (SELECT max(l.at) FROM login_log l WHERE l.member_id = m.id) FROM member m WHERE m.account_id = {#1900 + k}'),
-- partitions
('partitioned parent', 40, false, 'SELECT at, value FROM reading WHERE device_id = {#1 + k * 3} ORDER BY at DESC LIMIT 5'),
('partitioned range', 15, false, 'SELECT metric, avg(value) FROM reading WHERE device_id = {#1 + k} AND at >= {''2025-03-10''} AND at < {''2025-03-20''} GROUP BY metric'),
('SQL function', 15, false, 'SELECT d.id, latest_reading(d.id) FROM device d WHERE d.id = {#k * 5 + 1}'),
-- intervals, rows, pagination
('interval literal', 15, false, 'SELECT count(*) FROM message WHERE sent_at > timestamptz {''2025-04-12''} - interval {1 + k % 3 || '' hours''}'),
('range on correlated time', 12, false, 'SELECT count(*), min(id) FROM audit_event WHERE happened_at BETWEEN {(''2024-02-01''::timestamptz + k * interval ''1 day'')::text} AND {(''2024-02-01''::timestamptz + k * interval ''1 day'' + interval ''4 h'')::text}'),
('row comparison', 20, false, 'SELECT id, account_id, issued_on FROM invoice WHERE (issued_on, id) < ({(''2025-01-01''::date - k * 9)::text}, {#70000 - k * 900}) ORDER BY issued_on DESC, id DESC LIMIT 20'),
('keyset', 20, false, 'SELECT id, body FROM message WHERE author_id = {#1 + k % 30} AND id < {#240000 - k * 1000} ORDER BY id DESC LIMIT 20'),
('correlated LIMIT', 30, false, 'SELECT id, subject FROM ticket WHERE account_id = {#50 + k * 11} AND opened_at < {''2025-05-20''} ORDER BY opened_at DESC LIMIT 10'),
('correlated LIMIT, rare', 15, false, 'SELECT id, number FROM invoice WHERE state = {''draft''} AND issued_on < {''2025-06-01''} ORDER BY issued_on LIMIT 5'),
-- CTE, set operation, view, aggregate
('CTE', 10, false, 'WITH late AS (SELECT account_id, count(*) AS n FROM ticket WHERE due_at < {''2023-01-20''} AND status <> {''x''} GROUP BY account_id) SELECT a.name, l.n FROM late l JOIN account a ON a.id = l.account_id ORDER BY l.n DESC LIMIT 10'),
('UNION ALL', 10, false, 'SELECT ''m'', id FROM message WHERE author_id = {#3000 + k} UNION ALL SELECT ''t'', id FROM ticket WHERE assignee_id = {#450 + k % 50}'),
('view', 15, false, 'SELECT number, subject, assignee FROM open_ticket WHERE account_id = {#1800 + k} ORDER BY opened_at DESC LIMIT 10'),
('min/max', 12, false, 'SELECT max(due_at) FROM ticket'),
('DISTINCT', 5, false, 'SELECT DISTINCT firmware FROM device WHERE account_id = {#1 + k % 9}'),
-- writes with qualifications
('UPDATE qual', 10, false, 'UPDATE ticket SET is_spam = false WHERE parent_id = {#k * 40 + 3} AND is_spam'),
('DELETE qual', 15, false, 'DELETE FROM login_log WHERE token = {md5((k * 3)::text)}'),
('UPDATE by mac', 20, false, 'UPDATE device SET battery = {#k} WHERE mac = {(''02:00:00:00:'' || lpad(to_hex(k), 2, ''0'') || '':0a'')}::macaddr'),
-- served already: decoys
('served: key', 400, false, 'SELECT * FROM ticket WHERE id = {#k * 31 + 1}'),
('served: unique', 200, true, 'SELECT id, subject FROM ticket WHERE account_id = {#k + 1} AND number = {#k * 90}'),
('served: prefix', 60, false, 'SELECT id, serial FROM device WHERE account_id = {#1900 + k}'),
('served: index', 100, false, 'SELECT id, body FROM message WHERE ticket_id = {#k * 311 + 1} ORDER BY sent_at'),
('tiny table', 200, false, 'SELECT code, name FROM country WHERE region = {''region '' || k % 6} ORDER BY name'),
('tiny join', 50, false, 'SELECT a.name FROM account a JOIN country c ON c.code = a.country WHERE a.id = {#k + 1} AND c.region <> {''x''}'),
('whole table', 2, false, 'SELECT status, count(*) FROM ticket GROUP BY status'),
('unselective', 2, false, 'SELECT count(*), avg(length(body)) FROM message WHERE NOT is_internal'),
-- columns that are written all the time: decoys
('HOT read', 1, false, 'SELECT count(*) FROM usage_counter WHERE last_hit > {''2026-06-01''}'),
('HOT write', 3000, false, 'UPDATE usage_counter SET hits = hits + {#1}, last_hit = {(''2025-06-02''::timestamptz + k * interval ''1 s'')::text} WHERE account_id = {#1 + k % 2000}'),
('seen read', 1, false, 'SELECT id, serial FROM device WHERE last_seen < {''2025-05-02 00:10''}'),
('seen write', 6000, false, 'UPDATE device SET last_seen = {(''2025-06-02''::timestamptz + k * interval ''1 s'')::text} WHERE id = {#1 + k * 9 % 60000}'),
('insert-heavy read', 1, false, 'SELECT count(*) FROM login_log WHERE ip = {''10.0.0.77''}'),
('insert', 8000, false, 'INSERT INTO login_log (member_id, token, ip, at) VALUES ({#1 + k * 37 % 60000}, {md5((k + 900000)::text)}, {''10.1.'' || k % 250 || ''.'' || k / 250}::inet, {''2025-06-02''})');
