-- The last of the histories for test/bench/bloat: deletes that an open
-- transaction does not let VACUUM remove.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET search_path = heap, public;
SELECT setseed(:seed) \g /dev/null
CREATE TABLE holder (id int);
VACUUM held_partly;
BEGIN;
INSERT INTO holder VALUES (1);
PREPARE TRANSACTION 'bloat bed';
DELETE FROM held WHERE random() < .4;
DELETE FROM held_partly WHERE id % 7 = 0;
DELETE FROM held_toast WHERE id % 2 = 0;
VACUUM held;
