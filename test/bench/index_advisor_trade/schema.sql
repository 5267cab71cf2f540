-- The tables of a wholesaler, about 220 MB, with primary and foreign keys, the
-- latter without indexes.  Skew: few articles, buyers and vendors have most
-- sales.  Correlation: sales are numbered as they came, lines are shipped,
-- promised and received within weeks of them, states follow dates, a vendor's
-- country its area.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET synchronous_commit = off;
SELECT setseed(0.19);

-- of N numbers, small ones more often than large ones
CREATE FUNCTION skewed(n int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 + floor(n * random() ^ 1.5)::int';
-- N words that follow from a number
CREATE FUNCTION words(g int, n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg((ARRAY['amber', 'basalt', 'cedar', 'dune', 'ember', 'fjord', 'grove', 'harbor', 'iris', 'jade', 'kelp', 'linen', 'moss', 'north',
		'onyx', 'pearl', 'quartz', 'reed', 'slate', 'topaz', 'umber', 'velvet', 'willow', 'zinc'])[1 + (hashint4(g * 31 + i) & 1048575) % 24], ' ')
	  FROM generate_series(1, n) i $$;

CREATE TABLE area (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO area VALUES (1, 'north'), (2, 'south'), (3, 'east'), (4, 'west'), (5, 'overseas');
CREATE TABLE country (id int PRIMARY KEY, name text NOT NULL, area_id int NOT NULL REFERENCES area);
INSERT INTO country SELECT g, 'country ' || g, 1 + g % 5 FROM generate_series(1, 30) g;

CREATE TABLE vendor (id int PRIMARY KEY, name text NOT NULL, street text NOT NULL, country_id int NOT NULL, phone text NOT NULL, balance numeric(12, 2) NOT NULL, remark text NOT NULL);
INSERT INTO vendor SELECT g, 'vendor ' || g, words(g, 3), skewed(30), '+' || g % 30 || '-' || 1000000 + g * 37, (random() * 11000 - 1000)::numeric(12, 2),
	words(g, 4) || CASE WHEN g % 400 = 7 THEN ' complaint of buyers' ELSE '' END FROM generate_series(1, 2000) g;

CREATE TABLE article (id int PRIMARY KEY, name text NOT NULL, maker text NOT NULL, brand text NOT NULL, kind text NOT NULL, size int NOT NULL, package text NOT NULL, list_price numeric(12, 2) NOT NULL);
INSERT INTO article SELECT g, words(g, 4), 'maker ' || b / 8, 'brand ' || b,
	(ARRAY['standard', 'small', 'medium', 'large', 'economy', 'promo'])[1 + g % 6] || ' ' || (ARRAY['plated', 'brushed', 'polished', 'coated', 'burnished'])[1 + g / 6 % 5] || ' ' || (ARRAY['tin', 'nickel', 'brass', 'steel', 'copper'])[1 + g / 30 % 5],
	skewed(50), (ARRAY['small', 'medium', 'large', 'jumbo', 'wrap'])[1 + g % 5] || ' ' || (ARRAY['case', 'box', 'bag', 'jar', 'pack', 'can', 'drum', 'crate'])[1 + g / 5 % 8],
	900 + g % 1000 + g / 1000.0 FROM (SELECT g, skewed(40) AS b FROM generate_series(1, 30000) g) x;

-- who sells an article, and for how much
CREATE TABLE offer (article_id int REFERENCES article, vendor_id int REFERENCES vendor, stock int NOT NULL, cost numeric(12, 2) NOT NULL, remark text NOT NULL, PRIMARY KEY (article_id, vendor_id));
INSERT INTO offer SELECT a, 1 + (a + i * (500 + a / 2000)) % 2000, skewed(10000), (1 + random() * 1000)::numeric(12, 2), words(a * 4 + i, 6)
  FROM generate_series(1, 30000) a, generate_series(0, 3) i;

CREATE TABLE buyer (id int PRIMARY KEY, name text NOT NULL, street text NOT NULL, country_id int NOT NULL REFERENCES country, phone text NOT NULL, balance numeric(12, 2) NOT NULL, segment text NOT NULL, remark text NOT NULL);
INSERT INTO buyer SELECT g, 'buyer ' || g, words(g, 3), skewed(30), 10 + g % 30 || '-' || 1000000 + g * 17, (random() * 11000 - 1000)::numeric(12, 2),
	(ARRAY['retail', 'trade', 'public', 'export', 'craft'])[skewed(5)], words(g, 8) FROM generate_series(1, 22000) g;

-- a third of the buyers never bought
CREATE TABLE sale (id int PRIMARY KEY, buyer_id int NOT NULL REFERENCES buyer, state char(1) NOT NULL, total numeric(14, 2) NOT NULL, sold_on date NOT NULL, urgency text NOT NULL, clerk text NOT NULL, remark text NOT NULL);
INSERT INTO sale SELECT g, 1 + skewed(14600) * 3 / 2, CASE WHEN g < 130000 THEN 'F' WHEN g < 136000 THEN 'P' ELSE 'O' END, (random() * 400000)::numeric(14, 2),
	'2018-01-01'::date + g * 2400 / 220000 + skewed(20), (ARRAY['1 urgent', '2 high', '3 medium', '4 low', '5 none'])[1 + g % 5], 'clerk ' || skewed(1000),
	words(g, 5) || CASE WHEN g % 90 = 3 THEN ' special packed requests' ELSE '' END FROM generate_series(1, 220000) g;

CREATE TABLE sale_line (sale_id int REFERENCES sale, line int, article_id int NOT NULL, vendor_id int NOT NULL, quantity int NOT NULL, price numeric(12, 2) NOT NULL,
	discount numeric(4, 2) NOT NULL, tax numeric(4, 2) NOT NULL, return_flag char(1) NOT NULL, state char(1) NOT NULL, shipped_on date NOT NULL, promised_on date NOT NULL,
	received_on date NOT NULL, handling text NOT NULL, carrier text NOT NULL, remark text NOT NULL, PRIMARY KEY (sale_id, line), FOREIGN KEY (article_id, vendor_id) REFERENCES offer);
INSERT INTO sale_line SELECT id, line, a, 1 + (a + (line % 4) * (500 + a / 2000)) % 2000, q, (q * (900 + a % 1000))::numeric(12, 2), (random() * 0.1)::numeric(4, 2), (random() * 0.08)::numeric(4, 2),
	CASE WHEN received > '2021-12-01' THEN 'N' WHEN random() < 0.5 THEN 'R' ELSE 'A' END, CASE WHEN shipped > '2021-12-01' THEN 'O' ELSE 'F' END,
	shipped, sold_on + 30 + skewed(60), received, (ARRAY['in person', 'collect', 'return', 'none'])[skewed(4)],
	(ARRAY['rail', 'road', 'ship', 'air', 'mail', 'barge', 'pickup'])[1 + (id * 7 + line) % 7], words(id + line, 3)
  FROM (SELECT id, sold_on, line, skewed(30000) AS a, 1 + floor(random() * 50)::int AS q, sold_on + d AS shipped, sold_on + d + skewed(30) AS received
		  FROM (SELECT id, sold_on, line, skewed(120) AS d FROM sale, generate_series(1, 1 + id * 5 % 7) line) y ORDER BY id, line) x;
