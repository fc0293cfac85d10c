"""What the pod is asked to run, word by word."""

from __future__ import annotations

from urllib.parse import urlencode

from hasteward.streams import wrapper


def test_a_producer_is_wrapped_with_its_mark_algorithm_and_limit() -> None:
    plain = wrapper.download_argv(["pg_dump", "-d", "app"], run="r1", nonce="n1")
    chosen = wrapper.download_argv(
        ["x"], run="r1", nonce="n1", mark=wrapper.READ_MARK, algorithm="sha256", memory_limit=3 * 1024 + 1
    )

    assert plain[:3] == chosen[:3] == ["sh", "-c", wrapper._download(fed=False, short=False)]
    assert plain[3:] == ["hasteward-stream:r1:n1", "auto", "0", "pg_dump", "-d", "app"]
    assert chosen[3:] == ["hasteward-read:r1:n1", "sha256", "3", "x"]


def test_a_consumer_is_wrapped_without_a_limit() -> None:
    plain = wrapper.upload_argv(["psql", "-X"], run="r1", nonce="n1")
    chosen = wrapper.upload_argv(["psql"], run="r1", nonce="n1", algorithm="blake2b-256")

    assert plain[:3] == ["sh", "-c", wrapper._upload(fed=False, short=False)]
    assert plain[3:] == ["hasteward-stream:r1:n1", "auto", "0", "psql", "-X"]
    assert chosen[3:] == ["hasteward-stream:r1:n1", "blake2b-256", "0", "psql"]


def test_every_wrapper_leaves_room_for_arguments_in_the_address_of_a_request() -> None:
    """Many a server and proxy refuses an address of more than 8 KiB."""
    for make in (wrapper.download_argv, wrapper.upload_argv):
        for fed in (False, True):
            words = make([], run="r" * 16, nonce="n" * 32, fed=fed)
            assert len(urlencode([("command", word) for word in words])) < 3000
            words = make([], run="r" * 16, nonce="n" * 32, fed=fed, short=True)
            assert len(urlencode([("command", word) for word in words])) < 2100
