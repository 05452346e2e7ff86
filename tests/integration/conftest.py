"""Fixtures of the tests that call a registry plugin's methods."""

import os

import pytest

from harness.drive import CONFIG, IMAGE, Driver


@pytest.fixture
def drive(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Driver(home)


@pytest.fixture(params=["registry", "registry3"])
def real(request):
    """Each of the real registries."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def files(tmp_path):
    """What goes up: `config` and `image` of IMAGE, and a `layer`."""
    (tmp_path / "config").write_bytes(CONFIG)
    (tmp_path / "image").write_bytes(IMAGE)
    (tmp_path / "layer").write_bytes(os.urandom(700_000))
    return tmp_path
