-- The tables of a parcel carrier, about 150 MB, with the indexes that its
-- authors remembered.  Skew: a few clients send most, few parcels are under
-- way, few claims are open.  Correlation: numbers follow time, what is done
-- follows time, a depot's parcels go to its own postcodes.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET synchronous_commit = off;
SELECT setseed(0.37);
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- of N numbers, small ones far more often than large ones
CREATE FUNCTION skewed(n int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 + floor(n * random() ^ 3)::int';
-- instants of the year before "now", which is the end of June 2025
CREATE FUNCTION moment(share float8) RETURNS timestamptz LANGUAGE sql STABLE AS $$SELECT '2024-07-01'::timestamptz + share * interval '365 days'$$;

CREATE TABLE depot (id int PRIMARY KEY, code text NOT NULL UNIQUE, city text NOT NULL, region text NOT NULL);
INSERT INTO depot SELECT g, 'D' || lpad(g::text, 3, '0'), 'city ' || g, 'region ' || g % 8 FROM generate_series(1, 60) g;

CREATE TABLE tariff (id int PRIMARY KEY, service text NOT NULL, zone int NOT NULL, upto_g int NOT NULL, cents int NOT NULL);
INSERT INTO tariff SELECT g, (ARRAY['standard', 'express', 'bulky'])[1 + g % 3], 1 + g / 3 % 6, 1000 * (1 + g / 18), 300 + g * 5 FROM generate_series(1, 180) g;

CREATE TABLE client (id int PRIMARY KEY, name text NOT NULL, vat_number text, segment text NOT NULL, blocked bool NOT NULL, manager text NOT NULL);
INSERT INTO client SELECT g, 'shop ' || md5(g::text), 'EU' || 100000000 + g * 37, (ARRAY['small', 'small', 'large'])[skewed(3)], random() < 0.02, 'manager ' || g % 25
  FROM generate_series(1, 3000) g;

CREATE TABLE api_key (id int PRIMARY KEY, client_id int NOT NULL REFERENCES client, token_hash text NOT NULL, created_at timestamptz NOT NULL, revoked_at timestamptz);
INSERT INTO api_key SELECT g, skewed(3000), md5('key' || g), moment(random()), CASE WHEN random() < 0.6 THEN moment(1) END FROM generate_series(1, 20000) g;

CREATE TABLE address (id int PRIMARY KEY, name text NOT NULL, street text NOT NULL, house text NOT NULL, zip text NOT NULL, city text NOT NULL, phone text, instructions text);
INSERT INTO address SELECT g, initcap(substr(md5((g % 30000)::text), 1, 7)) || ' ' || initcap(substr(md5((g % 900)::text), 3, 6)),
	initcap(substr(md5((g % 4000)::text), 1, 9)) || (ARRAY['street', ' Lane', 'weg', ' Road'])[1 + g % 4], (1 + g % 120)::text,
	lpad((g * 7 % 6000 + 10000)::text, 5, '0'), 'city ' || g * 7 % 6000 / 100, CASE WHEN random() < 0.5 THEN '+49' || 1500000000 + g END,
	CASE WHEN random() < 0.05 THEN 'leave with the neighbour' END
  FROM generate_series(1, 80000) g;

CREATE TABLE courier (id int PRIMARY KEY, depot_id int NOT NULL REFERENCES depot, name text NOT NULL, active bool NOT NULL, zips text[] NOT NULL);
INSERT INTO courier SELECT g, 1 + g % 60, 'courier ' || g, random() < 0.8, ARRAY[(10000 + g * 9 % 6000)::text, (10000 + g * 10 % 6000)::text] FROM generate_series(1, 700) g;

-- numbered as they are handed in
CREATE TABLE parcel (id int PRIMARY KEY, tracking_code text NOT NULL UNIQUE, client_id int NOT NULL, client_ref text, sender_address_id int NOT NULL,
	recipient_address_id int NOT NULL, depot_id int NOT NULL, service text NOT NULL, status text NOT NULL, declared_g int NOT NULL, measured_g int,
	created_at timestamptz NOT NULL, promised_on date NOT NULL, delivered_at timestamptz, last_scan_at timestamptz, is_priority bool NOT NULL,
	return_of int, options jsonb NOT NULL) WITH (fillfactor = 90);
INSERT INTO parcel SELECT g, 'PX' || upper(substr(md5(g::text), 1, 12)), c, CASE WHEN random() < 0.8 THEN 'ORD-' || (g * 17 % 150000) END,
	c, skewed(80000), 1 + g * 7919 % 60, (ARRAY['standard', 'express', 'bulky'])[skewed(3)],
	CASE WHEN done THEN CASE WHEN random() < 0.02 THEN 'returned' ELSE 'delivered' END WHEN random() < 0.1 THEN 'held' ELSE 'transit' END,
	skewed(30000), CASE WHEN random() < 0.7 THEN skewed(31500) END, t, (t + interval '2 days')::date,
	CASE WHEN done THEN t + (1 + random() * 3) * interval '1 day' END, t + random() * interval '3 days', random() < 0.02,
	CASE WHEN random() < 0.02 THEN greatest(1, g - skewed(5000)) END,
	CASE WHEN random() < 0.03 THEN jsonb_build_object('cod', skewed(30000)) ELSE '{}' END || CASE WHEN random() < 0.01 THEN '{"insured": true}'::jsonb ELSE jsonb_build_object('label', g % 7) END
  FROM (SELECT g, skewed(3000) AS c, moment(g / 150000.0) AS t, random() < CASE WHEN g > 147500 THEN 0.3 ELSE 0.997 END AS done
		  FROM generate_series(1, 150000) g) x;

CREATE TABLE scan (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parcel_id int NOT NULL, depot_id int NOT NULL, kind text NOT NULL, at timestamptz NOT NULL, scanner text NOT NULL);
INSERT INTO scan (parcel_id, depot_id, kind, at, scanner)
	SELECT greatest(1, least(150000, g * 3 / 8 - skewed(900))), skewed(60), (ARRAY['arrived', 'sorted', 'loaded', 'damaged'])[skewed(4)],
	moment(g / 400000.0), 'S' || skewed(800) FROM generate_series(1, 400000) g;
CREATE INDEX ON scan (depot_id);

CREATE TABLE route (id int PRIMARY KEY, courier_id int NOT NULL REFERENCES courier, day date NOT NULL, vehicle text NOT NULL, zips text[] NOT NULL, finished_at timestamptz);
INSERT INTO route SELECT g, 1 + g % 700, '2024-07-01'::date + g / 41, 'V' || g % 300, ARRAY[(10000 + g * 3 % 6000)::text, (10000 + g * 11 % 6000)::text, (10000 + g % 6000)::text],
	CASE WHEN g < 14900 THEN moment(g / 15000.0) END FROM generate_series(1, 15000) g;

CREATE TABLE stop (id int PRIMARY KEY, route_id int NOT NULL, position int NOT NULL, parcel_id int NOT NULL, planned_at timestamptz NOT NULL, done_at timestamptz,
	outcome text, UNIQUE (route_id, position));
INSERT INTO stop SELECT g, 1 + g / 14, g % 14, 1 + (g * 3 / 4 + g % 97) % 150000, moment(g / 200000.0), CASE WHEN g < 198500 THEN moment(g / 200000.0) END,
	CASE WHEN g < 198500 THEN (ARRAY['ok', 'ok', 'absent', 'refused'])[skewed(4)] END FROM generate_series(1, 200000) g;

CREATE TABLE claim (id int PRIMARY KEY, parcel_id int NOT NULL REFERENCES parcel, state text NOT NULL, filed_at timestamptz NOT NULL, amount_cents int NOT NULL, paid_out_at timestamptz, reason text NOT NULL);
INSERT INTO claim SELECT g, g * 7 % 150000 + 1, CASE WHEN g > 19700 THEN 'new' WHEN random() < 0.03 THEN 'accepted' ELSE 'closed' END, moment(g / 20000.0), skewed(90000),
	CASE WHEN random() < 0.5 THEN moment(1) END, (ARRAY['lost', 'damaged', 'late'])[skewed(3)] || ' ' || md5(g::text) FROM generate_series(1, 20000) g;

CREATE TABLE webhook (id int PRIMARY KEY, client_id int NOT NULL, parcel_id int NOT NULL, event text NOT NULL, next_try_at timestamptz NOT NULL, attempts smallint NOT NULL, delivered_at timestamptz);
INSERT INTO webhook SELECT g, skewed(3000), g * 11 / 8, (ARRAY['scan', 'delivered', 'held'])[skewed(3)], moment(g / 100000.0), skewed(4), CASE WHEN random() < 0.995 THEN moment(g / 100000.0) END
  FROM generate_series(1, 100000) g;

CREATE TABLE locker_booking (id int PRIMARY KEY, locker_id int NOT NULL, period tstzrange NOT NULL, parcel_id int NOT NULL);
INSERT INTO locker_booking SELECT g, skewed(500), tstzrange(moment(g / 60000.0), moment(g / 60000.0) + skewed(60) * interval '1 h'), g * 2 FROM generate_series(1, 60000) g;

CREATE TABLE ping (courier_id int NOT NULL, at timestamptz NOT NULL, lat float4 NOT NULL, lon float4 NOT NULL, speed smallint) PARTITION BY RANGE (at);
DO $$ BEGIN FOR m IN 1..4 LOOP
	EXECUTE format('CREATE TABLE ping_%s PARTITION OF ping FOR VALUES FROM (%L) TO (%L)', m, make_date(2025, m + 2, 1), make_date(2025, m + 3, 1));
END LOOP; END $$;
INSERT INTO ping SELECT skewed(700), '2025-03-01'::timestamptz + g * interval '50 s', 48 + random(), 9 + random(), skewed(90) FROM generate_series(1, 200000) g;

CREATE VIEW parcel_under_way AS
	SELECT p.id, p.tracking_code, p.client_id, p.depot_id, p.promised_on, a.zip, a.street, a.house
	  FROM parcel p JOIN address a ON a.id = p.recipient_address_id WHERE p.delivered_at IS NULL;
