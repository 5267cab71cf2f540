-- What the extension consists of, and that all of it is explained and safe.
-- A change in these lists is a change of the interface.
CREATE TEMP VIEW member AS
SELECT p.oid::regprocedure AS name, p.*
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
 WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_steward');

SELECT name, provolatile AS volatile, proparallel AS parallel,
       coalesce(has_function_privilege('public', oid, 'EXECUTE'), false) AS public
  FROM member ORDER BY name::text COLLATE "C";

-- expected to be empty: members without a comment (row types of tables are
-- members of their own since 17)
SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_depend d
 WHERE d.deptype = 'e'
   AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid
                      AND (t.typrelid <> 0 OR t.typelem <> 0))
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_steward')
   AND obj_description(d.objid, d.classid::regclass::text) IS NULL
   -- since 17 the row types of tables are members, too
   AND NOT (d.classid = 'pg_type'::regclass
            AND EXISTS (SELECT FROM pg_type t WHERE t.oid = d.objid AND (t.typrelid <> 0 OR t.typelem <> 0)));

-- expected to be empty: columns of our tables and views without a comment
SELECT c.oid::regclass, a.attname
  FROM pg_depend d
       JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE d.deptype = 'e' AND c.relkind IN ('r', 'v')
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_steward')
   AND col_description(c.oid, a.attnum) IS NULL;

-- expected to be empty: functions with the rights of their owner
SELECT name FROM member WHERE prosecdef;

-- expected to be empty: functions whose names could be looked up in schemas
-- of others (neither C nor parsed at creation nor with a fixed search_path)
SELECT name FROM member
 WHERE prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')
   AND prosqlbody IS NULL
   AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false);

-- expected to be empty: tables whose rows a dump would lose
SELECT c.oid::regclass
  FROM pg_depend d
       JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
       JOIN pg_extension e ON e.oid = d.refobjid
 WHERE d.deptype = 'e' AND e.extname = 'pg_steward' AND c.relkind = 'r'
   AND NOT c.oid = ANY (coalesce(e.extconfig, '{}'));

-- expected to be empty: functions whose comment does not say who may call them
SELECT name FROM member
 WHERE obj_description(oid, 'pg_proc') !~ '(may call it|may be called|need[s]? pg_|only for|superuser)';
