from __future__ import annotations

from pathlib import Path

import pytest
from vault_kit import CLUSTER, TOKEN, Stage

from hasteward.domain.errors import HastewardError, InvalidInput
from hasteward.ports.kubernetes import SECRETS
from hasteward_vault.collect.token import access
from hasteward_vault.facts.token import Origin, TokenSource, parse_source


@pytest.mark.parametrize(
    ("text", "source", "words"),
    [
        ("secret:a", TokenSource(Origin.SECRET, "a", "token"), "key token of Secret a"),
        ("secret:a/b", TokenSource(Origin.SECRET, "a", "b"), "key b of Secret a"),
        ("file:/x y", TokenSource(Origin.FILE, "/x y"), "the file /x y"),
        ("pod:/home/t", TokenSource(Origin.POD, "/home/t"), "the file /home/t in the server's container"),
        (
            "kubernetes:r",
            TokenSource(Origin.KUBERNETES, "r", "kubernetes"),
            "a login as role r at auth/kubernetes",
        ),
        ("kubernetes:r@k8s", TokenSource(Origin.KUBERNETES, "r", "k8s"), "a login as role r at auth/k8s"),
    ],
)
def test_a_source_is_one_word(text: str, source: TokenSource, words: str) -> None:
    assert (parse_source(text), str(source)) == (source, words)


@pytest.mark.parametrize("text", [TOKEN, "hvs.CAESIJ", "kubernetes:a b", "secret:../x y"])
def test_what_is_no_source_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidInput, match="where the token is, not what it is") as caught:
        parse_source(text)
    assert text not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("text", ["", "secret:", "file:", ":x", "kubernetes:@m"])
def test_half_a_source_is_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="where the token is"):
        parse_source(text)


def test_the_token_does_not_show_itself(tmp_path: Path) -> None:
    found = access(Stage().context, CLUSTER)

    assert (found.feed, repr(found)) == (TOKEN, "Access(key token of Secret hasteward-vault)")
    assert found.words == ("given", "0")
    assert TOKEN not in " ".join((*found.words, *found.words_beside_data))


def test_a_token_file_is_read_here(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")

    assert access(Stage(options={"token_from": f"file:{file}"}).context, CLUSTER).feed == TOKEN


@pytest.mark.parametrize("content", ["", "\n", "two words", "a\nb", "\x00"])
def test_a_file_without_one_token_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)

    with pytest.raises(InvalidInput, match="holds no token"):
        access(Stage(options={"token_from": f"file:{file}"}).context, CLUSTER)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("secret:none", "there is no Secret vault/none"),
        ("secret:hasteward-vault/none", "has no key none"),
        ("file:/nonexistent", "cannot be read: No such file"),
    ],
)
def test_a_missing_token_is_named(spec: str, words: str) -> None:
    with pytest.raises(HastewardError, match=words) as caught:
        access(Stage(options={"token_from": spec}).context, CLUSTER)
    assert caught.value.code == "token.missing"


def test_a_secret_that_is_no_text_is_refused_without_its_content() -> None:
    stage = Stage()
    stage.api.add(
        SECRETS, {"metadata": {"name": "hasteward-vault", "namespace": "vault"}, "data": {"token": "/w=="}}
    )

    with pytest.raises(InvalidInput, match="is not text"):
        access(stage.context, CLUSTER)
