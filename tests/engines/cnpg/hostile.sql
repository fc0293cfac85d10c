-- What somebody without rights can leave in a database for a superuser to fall over. Everything calls act(),
-- which writes who it runs as to the server's log and tries what only a superuser may do.
CREATE ROLE mallory LOGIN PASSWORD 'x';
CREATE DATABASE hostile OWNER mallory;
\connect hostile
SET SESSION AUTHORIZATION mallory;
CREATE SCHEMA s;
CREATE FUNCTION s.act(tag text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE LOG 'HOSTILE % % %', tag, current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
  BEGIN
    EXECUTE format('COPY (SELECT %L) TO PROGRAM %L', tag, 'cat >>' || current_setting('data_directory') || '/owned');
  EXCEPTION WHEN insufficient_privilege THEN NULL;
  END;
  RETURN true;
END$$;
CREATE FUNCTION s.quiet(tag text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog
  AS $$BEGIN RETURN s.act(tag); END$$;
CREATE FUNCTION s.number(tag text, n int) RETURNS int LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog
  AS $$BEGIN PERFORM s.act(tag); RETURN n; END$$;
CREATE DOMAIN s.checked AS int CHECK (s.quiet('domain'));
CREATE FUNCTION s.plus(s.checked, int) RETURNS s.checked LANGUAGE sql AS $$SELECT $1 + $2$$;
CREATE AGGREGATE s.agg(int) (sfunc = s.plus, stype = s.checked, initcond = '0');
CREATE TABLE s.t (
  id int DEFAULT s.number('default', 1) CHECK (s.quiet('check')), d s.checked,
  g int GENERATED ALWAYS AS (s.number('generated', id)) STORED,
  EXCLUDE USING btree ((s.number('exclude', id)) WITH =));
INSERT INTO s.t (id, d) SELECT i, i FROM generate_series(1, 5) i;
CREATE INDEX ON s.t ((s.number('index', id))) WHERE s.quiet('predicate');
CREATE STATISTICS s.st ON (s.number('statistics', id)), d FROM s.t;
CREATE TABLE s.parts (k s.checked) PARTITION BY RANGE (k);
CREATE TABLE s.parts_1 PARTITION OF s.parts FOR VALUES FROM (1) TO (10);
INSERT INTO s.parts VALUES (3);
CREATE MATERIALIZED VIEW s.mat AS SELECT s.quiet('matview'), s.agg(id) FROM s.t;
CREATE VIEW s.seen AS SELECT s.quiet('view') FROM s.t;
CREATE RULE also AS ON INSERT TO s.parts_1 DO ALSO SELECT s.act('rule');
CREATE FUNCTION s.fired() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM s.act('trigger'); RETURN NEW; END$$;
CREATE TRIGGER fired BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.fired();
ALTER TABLE s.t ENABLE ALWAYS TRIGGER fired;
CREATE POLICY p ON s.t USING (s.act('policy'));
ALTER TABLE s.t ENABLE ROW LEVEL SECURITY;
ALTER TABLE s.t FORCE ROW LEVEL SECURITY;
CREATE TABLE s."x
\! touch hostile-name; :'DBNAME' `touch hostile-tick`" ("a
\! touch hostile-column" text DEFAULT E'\n\\! touch hostile-default');
INSERT INTO s."x
\! touch hostile-name; :'DBNAME' `touch hostile-tick`" VALUES (E'\n\\.\n\\! touch hostile-data\n\\connect postgres');
COMMENT ON TABLE s.t IS E'\n\\! touch hostile-comment\n';
CREATE FUNCTION s.body() RETURNS text LANGUAGE sql AS $$SELECT '
\! touch hostile-body
\unrestrict x'$$;
-- shadows of what our own questions use, in front of the real ones
CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS $$SELECT s.act('pg_is_in_recovery')$$;
CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT s.act('current_setting')::text$$;
CREATE FUNCTION public.current_database() RETURNS name LANGUAGE sql AS $$SELECT s.act('current_database')::text::name$$;
CREATE FUNCTION public.pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS $$SELECT s.act('pg_get_userbyid')::text::name$$;
CREATE FUNCTION public.pg_database_size(oid) RETURNS bigint LANGUAGE sql AS $$SELECT s.act('pg_database_size')::int::bigint$$;
CREATE FUNCTION public.shobj_description(oid, name) RETURNS text LANGUAGE sql AS $$SELECT s.act('shobj_description')::text$$;
CREATE FUNCTION public.pg_terminate_backend(int) RETURNS boolean LANGUAGE sql AS $$SELECT s.act('pg_terminate_backend')$$;
CREATE FUNCTION public.same(oid, oid) RETURNS boolean LANGUAGE sql AS $$SELECT s.act('same oid')$$;
CREATE FUNCTION public.same(name, name) RETURNS boolean LANGUAGE sql AS $$SELECT s.act('same name')$$;
CREATE FUNCTION public.same(name, text) RETURNS boolean LANGUAGE sql AS $$SELECT s.act('same text')$$;
CREATE FUNCTION public.same("char", "char") RETURNS boolean LANGUAGE sql AS $$SELECT s.act('same char')$$;
CREATE OPERATOR public.= (leftarg = oid, rightarg = oid, function = public.same);
CREATE OPERATOR public.= (leftarg = name, rightarg = name, function = public.same);
CREATE OPERATOR public.<> (leftarg = name, rightarg = text, function = public.same);
CREATE OPERATOR public.!~ (leftarg = name, rightarg = text, function = public.same);
CREATE OPERATOR public.= ("leftarg" = "char", rightarg = "char", function = public.same);
ALTER DATABASE hostile SET search_path = public, pg_catalog;
ALTER DATABASE hostile SET role = 'mallory';
RESET SESSION AUTHORIZATION;
CREATE TABLE s.of_the_superuser (id int CHECK (s.quiet('check of the superuser')));
CREATE INDEX ON s.of_the_superuser ((s.number('index of the superuser', id)));
INSERT INTO s.of_the_superuser VALUES (1), (2);
