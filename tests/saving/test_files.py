"""A file that cannot be written whole is not written at all, and the error says where."""

import pytest

from tinyllm.saving.files import write_atomically

resource = pytest.importorskip("resource", reason="no limits on Windows")


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as if the disk were full after so many bytes
    try:
        with pytest.raises(OSError, match=r"save: cannot write: File too large: '.*weights'"):
            write_atomically(str(path), bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
