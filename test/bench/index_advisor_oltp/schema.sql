-- The tables of a help desk with devices and billing, about 150 MB, with the
-- indexes that its authors remembered.  Skew: a few accounts own most rows, few
-- tickets are open, few jobs are ready.  Correlation: ids follow time, states
-- follow dates, an account's rows are of its own period.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET synchronous_commit = off;
SELECT setseed(0.42);
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- of LIMIT numbers, small ones far more often than large ones
CREATE FUNCTION skewed(n int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 + floor(n * random() ^ 3)::int';
CREATE FUNCTION phone_digits(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT regexp_replace(t, '[^0-9]', '', 'g')$$;

CREATE TABLE country (code text PRIMARY KEY, name text NOT NULL, region text NOT NULL);
INSERT INTO country SELECT 'C' || g, 'country ' || g, 'region ' || g % 6 FROM generate_series(1, 200) g;

CREATE TABLE account (id int PRIMARY KEY, name text NOT NULL, plan text NOT NULL, country text REFERENCES country,
	active bool NOT NULL, created_at timestamptz NOT NULL, settings jsonb);
INSERT INTO account SELECT g, 'account ' || md5(g::text), (ARRAY['free', 'free', 'free', 'pro', 'team'])[skewed(5)],
	'C' || skewed(200), random() < 0.9, '2023-01-01'::timestamptz + g * interval '9 h', '{}'
  FROM generate_series(1, 2000) g;

CREATE TABLE member (id int PRIMARY KEY, account_id int NOT NULL REFERENCES account, email text NOT NULL UNIQUE, full_name text NOT NULL,
	phone text, role text NOT NULL, last_login timestamptz, deleted_at timestamptz, referrer_id int, newsletter bool NOT NULL);
INSERT INTO member SELECT g, skewed(2000), initcap(substr(md5(g::text), 1, 8)) || '.' || g || '@Example.org',
	initcap(substr(md5((g * 7)::text), 1, 7)) || ' ' || initcap(substr(md5((g % 5000)::text), 1, 9)),
	'+49 (' || 100 + g % 900 || ') ' || 1000000 + g, (ARRAY['member', 'member', 'agent', 'admin'])[skewed(4)],
	CASE WHEN random() < 0.7 THEN '2025-06-01'::timestamptz - random() ^ 2 * interval '700 days' END,
	CASE WHEN random() < 0.03 THEN '2025-05-01'::timestamptz END,
	CASE WHEN random() < 0.2 THEN skewed(60000) END, random() < 0.3
  FROM generate_series(1, 60000) g;

CREATE TABLE ticket (id int PRIMARY KEY, account_id int NOT NULL, number int NOT NULL, requester_id int NOT NULL, assignee_id int,
	status text NOT NULL, priority smallint NOT NULL, opened_at timestamptz NOT NULL, closed_at timestamptz, due_at timestamptz,
	subject text NOT NULL, tags text[] NOT NULL, is_spam bool NOT NULL, parent_id int, UNIQUE (account_id, number));
-- accounts came one after the other, so that a ticket's account follows from its time
INSERT INTO ticket SELECT g, a, g, 1 + (a * 31 + g % 97) % 60000, CASE WHEN random() < 0.8 THEN skewed(500) END,
	CASE WHEN open THEN (ARRAY['open', 'open', 'pending', 'waiting'])[skewed(4)] ELSE 'closed' END,
	skewed(5), t, CASE WHEN NOT open THEN t + random() * interval '9 days' END,
	CASE WHEN random() < 0.4 THEN t + interval '3 days' END,
	(ARRAY['printer', 'invoice', 'login', 'delivery', 'refund', 'password'])[skewed(6)] || ' ' || md5(g::text) || ' ' || substr(md5((g + 5)::text), 1, 12),
	ARRAY['t' || skewed(400), 't' || skewed(400)], random() < 0.01, CASE WHEN random() < 0.05 THEN g - 1 END
  FROM (SELECT g, least(2000, 1 + g / 80 + skewed(120)) AS a, '2023-01-01'::timestamptz + g * interval '8.4 min' AS t,
			   random() < CASE WHEN g > 145000 THEN 0.5 ELSE 0.01 END AS open
		  FROM generate_series(1, 150000) g) x;
CREATE INDEX ON ticket (requester_id);

CREATE TABLE message (id int PRIMARY KEY, ticket_id int NOT NULL, author_id int NOT NULL, sent_at timestamptz NOT NULL,
	is_internal bool NOT NULL, body text NOT NULL);
INSERT INTO message SELECT g, least(150000, 1 + g * 3 / 5 + skewed(200)), skewed(60000),
	'2023-01-01'::timestamptz + g * interval '5 min', random() < 0.1, md5(g::text) || md5((g + 1)::text)
  FROM generate_series(1, 240000) g;
CREATE INDEX ON message (ticket_id);

CREATE TABLE attachment (id int PRIMARY KEY, message_id int NOT NULL, sha text NOT NULL, bytes int NOT NULL, kind text NOT NULL, scanned bool NOT NULL);
INSERT INTO attachment SELECT g, g * 4 - skewed(3), md5((g % 50000)::text), skewed(5000000),
	(ARRAY['png', 'pdf', 'zip'])[skewed(3)], g < 59800
  FROM generate_series(1, 60000) g;

CREATE TABLE device (id int PRIMARY KEY, account_id int NOT NULL, serial text NOT NULL, mac macaddr, props jsonb NOT NULL,
	last_seen timestamptz, battery smallint, firmware text NOT NULL) WITH (fillfactor = 80);
INSERT INTO device SELECT g, skewed(2000), 'SN-' || substr(md5(g::text), 1, 12), ('02:00:00:' || substr(to_hex(g + 16777216), 2, 2) || ':' || substr(to_hex(g + 16777216), 4, 2) || ':' || substr(to_hex(g + 16777216), 6, 2))::macaddr,
	jsonb_build_object('model', 'm' || skewed(300), 'site', 's' || skewed(3000), 'rack', g % 40),
	'2025-06-01'::timestamptz - random() * interval '30 days', random() * 100, '1.' || skewed(20)
  FROM generate_series(1, 60000) g;
CREATE INDEX ON device (account_id, serial);

CREATE TABLE reading (device_id int NOT NULL, at timestamptz NOT NULL, metric text NOT NULL, value float8) PARTITION BY RANGE (at);
DO $$ BEGIN FOR m IN 1..6 LOOP
	EXECUTE format('CREATE TABLE reading_%s PARTITION OF reading FOR VALUES FROM (%L) TO (%L)', m,
				   make_date(2025, m, 1), make_date(2025, m + 1, 1));
END LOOP; END $$;
INSERT INTO reading SELECT skewed(60000), '2025-01-01'::timestamptz + g * interval '62 s',
	(ARRAY['temperature', 'humidity', 'load'])[skewed(3)], random() * 100
  FROM generate_series(1, 240000) g;

CREATE TABLE product (id int PRIMARY KEY, sku text NOT NULL UNIQUE, name text NOT NULL, category text NOT NULL);
INSERT INTO product SELECT g, 'sku' || g, 'product ' || g, 'category ' || skewed(40) FROM generate_series(1, 3000) g;

CREATE TABLE invoice (id int PRIMARY KEY, account_id int NOT NULL, number text NOT NULL, issued_on date NOT NULL, due_on date NOT NULL,
	paid_at timestamptz, total_cents int NOT NULL, currency char(3) NOT NULL, state text NOT NULL);
INSERT INTO invoice SELECT g, skewed(2000), 'R' || lpad((g * 7919 % 100000)::text, 6, '0'), d, d + 14,
	CASE WHEN paid THEN d + 10 * random() * interval '1 day' END, skewed(90000), (ARRAY['EUR', 'USD'])[skewed(2)],
	CASE WHEN paid THEN 'paid' WHEN random() < 0.3 THEN 'draft' ELSE 'sent' END
  FROM (SELECT g, '2023-01-01'::date + g / 100 AS d, random() < 0.97 AS paid FROM generate_series(1, 90000) g) x;
CREATE INDEX ON invoice (account_id);

CREATE TABLE invoice_line (id int PRIMARY KEY, invoice_id int NOT NULL, product_id int NOT NULL, quantity int NOT NULL, price_cents int NOT NULL);
INSERT INTO invoice_line SELECT g, 1 + g / 3, skewed(3000), skewed(10), skewed(20000) FROM generate_series(1, 200000) g;

CREATE TABLE login_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, member_id int NOT NULL, token text NOT NULL, ip inet NOT NULL, at timestamptz NOT NULL);
INSERT INTO login_log (member_id, token, ip, at) SELECT skewed(60000), md5(g::text), '10.0.0.0'::inet + skewed(90000), '2025-05-01'::timestamptz + g * interval '10 s'
  FROM generate_series(1, 60000) g;

CREATE TABLE job (id int PRIMARY KEY, queue text NOT NULL, state text NOT NULL, run_at timestamptz NOT NULL, attempts smallint NOT NULL, payload text NOT NULL);
INSERT INTO job SELECT g, (ARRAY['mail', 'export', 'sync'])[skewed(3)], CASE WHEN g > 79400 THEN 'ready' WHEN random() < 0.01 THEN 'failed' ELSE 'done' END,
	'2025-01-01'::timestamptz + g * interval '2 min', 0, md5(g::text) FROM generate_series(1, 80000) g;

CREATE TABLE usage_counter (account_id int PRIMARY KEY, hits bigint NOT NULL, last_hit timestamptz NOT NULL) WITH (fillfactor = 50);
INSERT INTO usage_counter SELECT g, g, '2025-06-01' FROM generate_series(1, 2000) g;

CREATE TABLE audit_event (id int PRIMARY KEY, account_id int NOT NULL, entity text NOT NULL, entity_id int NOT NULL, happened_at timestamptz NOT NULL, change text NOT NULL);
INSERT INTO audit_event SELECT g, skewed(2000), (ARRAY['ticket', 'member', 'invoice', 'device'])[skewed(4)], skewed(60000),
	'2024-01-01'::timestamptz + g * interval '4 min', md5(g::text) || md5((g + 3)::text)
  FROM generate_series(1, 180000) g;

CREATE VIEW open_ticket AS
	SELECT t.id, t.account_id, t.number, t.subject, t.priority, t.opened_at, m.full_name AS assignee
	  FROM ticket t LEFT JOIN member m ON m.id = t.assignee_id WHERE t.closed_at IS NULL;
CREATE FUNCTION latest_reading(d int) RETURNS float8 LANGUAGE sql STABLE
	AS 'SELECT value FROM reading WHERE device_id = d ORDER BY at DESC LIMIT 1';
