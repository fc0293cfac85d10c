-- A small shop: two roles, types of all sorts, a sequence that is not at its start.
CREATE ROLE clerk LOGIN PASSWORD 'not-a-secret';
CREATE EXTENSION pg_trgm;
CREATE TYPE state AS ENUM ('new', 'paid', 'shipped');
CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  tags text[] NOT NULL DEFAULT '{}',
  profile jsonb
);
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer bigint NOT NULL REFERENCES customers,
  total numeric(10, 2) NOT NULL,
  placed timestamptz NOT NULL,
  state state NOT NULL DEFAULT 'new'
);
CREATE INDEX ON customers USING gin (name gin_trgm_ops);
CREATE SEQUENCE invoice START 1000;
INSERT INTO customers (name, tags, profile)
  SELECT 'customer ' || n, ARRAY['t' || n % 7], jsonb_build_object('n', n) FROM generate_series(1, 20000) n;
INSERT INTO orders (customer, total, placed, state)
  SELECT 1 + n % 20000, (n % 9973) / 100.0, timestamptz '2026-01-01' + n * interval '7 minutes',
         (ARRAY['new', 'paid', 'shipped'])[1 + n % 3]::state
  FROM generate_series(1, 200000) n;
SELECT setval('invoice', 4711);
SELECT lo_from_bytea(0, 'a picture');
GRANT SELECT, INSERT ON orders TO clerk;
