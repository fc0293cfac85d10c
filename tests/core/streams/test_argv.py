"""What the pod is asked to run, word by word."""

from __future__ import annotations

from hasteward.streams import wrapper


def test_a_producer_is_wrapped_with_its_mark_algorithm_and_limit() -> None:
    plain = wrapper.download_argv(["pg_dump", "-d", "app"], run="r1", nonce="n1")
    chosen = wrapper.download_argv(
        ["x"], run="r1", nonce="n1", mark=wrapper.READ_MARK, algorithm="sha256", memory_limit=3 * 1024 + 1
    )

    assert plain[:3] == chosen[:3] == ["sh", "-c", wrapper._DOWNLOAD]
    assert plain[3:] == ["hasteward-stream:r1:n1", "auto", "0", "pg_dump", "-d", "app"]
    assert chosen[3:] == ["hasteward-read:r1:n1", "sha256", "3", "x"]


def test_a_consumer_is_wrapped_without_a_limit() -> None:
    plain = wrapper.upload_argv(["psql", "-X"], run="r1", nonce="n1")
    chosen = wrapper.upload_argv(["psql"], run="r1", nonce="n1", algorithm="blake2b-256")

    assert plain[:3] == ["sh", "-c", wrapper._UPLOAD]
    assert plain[3:] == ["hasteward-stream:r1:n1", "auto", "0", "psql", "-X"]
    assert chosen[3:] == ["hasteward-stream:r1:n1", "blake2b-256", "0", "psql"]
