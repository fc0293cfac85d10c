"""Each engine of this repository introduces itself as the contract says."""

from __future__ import annotations

from types import MappingProxyType

from hasteward.testing.conformance import InfoConformance
from hasteward_cnpg.plugin import plugin as cnpg
from hasteward_galera.plugin import plugin as galera
from hasteward_standalone.plugin import plugin as standalone
from hasteward_vault.plugin import plugin as vault


class TestCnpg(InfoConformance):
    engine = cnpg


class TestGalera(InfoConformance):
    engine = galera


class TestStandalone(InfoConformance):
    engine = standalone
    options = MappingProxyType({"db_type": "mariadb"})


class TestVault(InfoConformance):
    engine = vault
