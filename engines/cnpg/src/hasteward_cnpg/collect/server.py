"""The one statement that asks a member how it is.

Its answer is a JSON object: ``version``, ``version_number``, ``system_id`` (text), ``in_recovery``,
``checkpoint_timeline``, ``recovery_timeline`` (0 if none), ``histories`` (text by timeline),
``segment_bytes``, ``timeline`` (null on a standby), ``current`` (null on a standby), ``received``,
``replayed``, ``last_replay`` (RFC 3339 or null), ``receiver`` (null or ``status, timeline, sender``),
``standbys`` (``name, state, sync_state, sent, written, flushed, replayed``), ``slots`` (``name, kind,
active, restart, database, wal_status``), ``databases`` (``name, size`` in bytes, ``connectable``) and
``shadowed`` (whether postgresql.auto.conf has a primary_conninfo that wins over the operator's).
"""

from __future__ import annotations

from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.collect.login import login_of
from hasteward_cnpg.evidence import ServerFacts
from hasteward_cnpg.facts.server import parse_server
from hasteward_sql.postgresql.collect.client import Asked, querying

_SQL = r"""
SELECT json_build_object(
 'version', current_setting('server_version'),
 'version_number', current_setting('server_version_num')::int,
 'system_id', (SELECT system_identifier::text FROM pg_control_system()),
 'in_recovery', pg_is_in_recovery(),
 'checkpoint_timeline', (SELECT timeline_id FROM pg_control_checkpoint()),
 'segment_bytes', pg_size_bytes(current_setting('wal_segment_size')),
 'recovery_timeline', (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
 'histories', (SELECT coalesce(json_object_agg(('x' || left(name, 8))::bit(32)::int,
   pg_read_file('pg_wal/' || name)), '{}') FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{8}\.history$'),
 'timeline', CASE WHEN NOT pg_is_in_recovery()
   THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
 'current', CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END,
 'received', pg_last_wal_receive_lsn(),
 'replayed', pg_last_wal_replay_lsn(),
 'last_replay', pg_last_xact_replay_timestamp(),
 'replay_paused', CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
 'receiver', (SELECT json_build_object('status', status, 'timeline', received_tli,
   'sender', concat_ws(':', sender_host, sender_port)) FROM pg_stat_wal_receiver),
 'standbys', (SELECT coalesce(json_agg(json_build_object('name', application_name, 'state', state,
   'sync_state', sync_state, 'sent', sent_lsn, 'written', write_lsn, 'flushed', flush_lsn,
   'replayed', replay_lsn) ORDER BY application_name), '[]') FROM pg_stat_replication),
 'slots', (SELECT coalesce(json_agg(json_build_object('name', slot_name, 'kind', slot_type,
   'active', active, 'restart', restart_lsn, 'database', database, 'wal_status', wal_status)
   ORDER BY slot_name), '[]') FROM pg_replication_slots),
 'shadowed', (SELECT count(*) > 1 AND bool_or(sourcefile LIKE '%/postgresql.auto.conf')
   FROM pg_file_settings WHERE name = 'primary_conninfo'),
 'databases', (SELECT coalesce(json_agg(json_build_object('name', datname,
   'size', pg_database_size(oid), 'connectable', datallowconn AND datconnlimit <> -2)
   ORDER BY datname), '[]') FROM pg_database))
"""


def asking_server(context: EngineContext, pod: PodRef) -> Asked[ServerFacts]:
    """The question to one running member. A HastewardError or ValueError when the answer is no answer."""
    return querying(context, login_of(pod), _SQL).then(parse_server)


def read_server(context: EngineContext, pod: PodRef) -> ServerFacts:
    """Ask it now."""
    return asking_server(context, pod).alone(context)
