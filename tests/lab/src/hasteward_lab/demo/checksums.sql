-- One line per table, sequence and large object: its name and the checksum of its content.
SELECT format('table %I.%I', schemaname, tablename) AS object,
       (xpath('/row/sum/text()', query_to_xml(format(
          'SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '''')) AS sum FROM %I.%I t',
          schemaname, tablename), false, true, '')))[1]::text AS checksum
  FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT format('sequence %I.%I', schemaname, sequencename), md5(coalesce(last_value::text, 'unused'))
  FROM pg_sequences
UNION ALL
SELECT 'large object ' || oid, md5(lo_get(oid)) FROM pg_largeobject_metadata
ORDER BY 1;
