"""The tag of the operator's image follows from its sources."""

from pathlib import Path

from products.images import source_hash


def tree(root: Path) -> Path:
    (root / "controller").mkdir(parents=True)
    (root / "controller" / "store.py").write_text("one")
    (root / "Dockerfile").write_text("FROM scratch")
    return root


def test_equal_sources_have_equal_hashes_wherever_they_are(tmp_path: Path) -> None:
    assert source_hash(tree(tmp_path / "a")) == source_hash(tree(tmp_path / "b"))


def test_every_content_and_every_name_counts(tmp_path: Path) -> None:
    root = tree(tmp_path)
    hashes = [source_hash(root)]
    (root / "controller" / "store.py").write_text("two")
    hashes.append(source_hash(root))
    (root / "controller" / "store.py").rename(root / "controller" / "stores.py")
    hashes.append(source_hash(root))
    assert len(set(hashes)) == len(hashes)


def test_tests_documents_and_caches_do_not_count(tmp_path: Path) -> None:
    root = tree(tmp_path)
    before = source_hash(root)
    (root / "docs").mkdir()
    (root / "docs" / "reference.md").write_text("words")
    (root / "controller" / "__pycache__").mkdir()
    (root / "controller" / "__pycache__" / "store.pyc").write_bytes(b"x")
    assert source_hash(root) == before
